"""The config's JSON schema: what an editor needs for hover texts, completion and checks of a TOML file."""

import json
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from engine.config.schema import Config
from engine.config.section import Section

_TITLE = "dpo-tui config"


class _WithoutNull(GenerateJsonSchema):
    """TOML has no null: a key that may be None may only be absent. Titles that repeat the key are noise."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        """A table's defaults stand at its keys, so the table itself needs none."""
        if schema.get("default") is None or isinstance(schema["default"], Section):
            return self.generate_inner(schema["schema"])
        return super().default_schema(schema)

    def field_title_should_be_set(self, schema: object) -> bool:  # noqa: ARG002 # pydantic's signature
        return False


def json_schema() -> dict[str, Any]:
    """The schema as draft 2020-12, each key with its description, limits and default."""
    schema = Config.model_json_schema(schema_generator=_WithoutNull)
    schema["title"] = _TITLE
    return {"$schema": GenerateJsonSchema.schema_dialect, **schema}


def schema_text() -> str:
    """The schema as it is printed, and checked in beside the templates."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"
