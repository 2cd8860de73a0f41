"""Rows with pictures, films or sound beside the text: recognised, so that they can be refused in words."""

from engine.data.formats.format import Fields, Format
from engine.data.formats.samples import VISION
from engine.data.rows.messages import Preference, RowError
from engine.data.rows.shapes import ANYTHING

COLUMNS = "images|image|videos|video|audios|audio|rejected_images|rejected_videos|rejected_audios"
REFUSAL = (
    "The rows hold pictures, films or sound, and only text can be trained on. Choose a data set of text, "
    "or name the columns of text in `columns` of this source to train without the rest."
)


def _refused(_row: Fields) -> Preference:
    raise RowError(REFUSAL)


FORMATS = (
    Format(
        name="vision",
        purpose="Any preference rows with images, videos or audios: recognised and refused.",
        seen_in="TRL and LLaMA-Factory for vision models, openbmb/RLAIF-V-Dataset",
        columns={COLUMNS: ANYTHING},
        refusal=REFUSAL,
        read=_refused,
        sample=VISION,
    ),
)
