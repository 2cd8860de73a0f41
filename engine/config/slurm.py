"""The table [launch.slurm]: the job that carries a run on a cluster.

Every name of it ends up in a line that sbatch or a shell reads, so each has a pattern that leaves no room for
blanks, quotes and options; paths, which may hold anything printable, are quoted where they are written.
"""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from engine.config.section import Section, Text

NAME = r"^[A-Za-z0-9_][A-Za-z0-9_.:@+-]{0,254}$"
TIME = r"^[0-9]{1,6}(:[0-5][0-9]){0,2}$|^[0-9]{1,3}-[0-9]{1,2}(:[0-5][0-9]){0,2}$"
MEMORY = r"^[0-9]{1,9}[KMGT]?$"
FEATURES = r"^[A-Za-z0-9_(\[][A-Za-z0-9_.:&|*()\[\]-]{0,254}$"
NODES = r"^[A-Za-z0-9][A-Za-z0-9_.,\[\]-]{0,1022}$"
MODULE = r"^[A-Za-z0-9_][A-Za-z0-9_.+/-]{0,254}$"

WORD = r"^[^-\s].{0,4094}$"

PATTERNS = {
    NAME: "expected a name of letters, digits and '_.:@+-', the first a letter or digit",
    TIME: "expected minutes, hours:minutes:seconds or days-hours, as in 90, 12:00:00 or 2-0",
    MEMORY: "expected a number with K, M, G or T behind it, as in 64G",
    FEATURES: "expected names of features with & or | between them",
    NODES: "expected names of nodes with commas between them, as in node[3-5],node9",
    MODULE: "expected the name of a module, as in cuda/12.8",
    WORD: "expected a name or a path that does not begin with '-' or a blank",
}
"""What each pattern allows, in words."""

Name = Annotated[str, StringConstraints(pattern=NAME)]
Word = Annotated[str, StringConstraints(pattern=WORD)]
"""What stands among a command's own words, where a dash would make it an option."""


class Slurm(Section):
    """The job on a cluster: nodes x gpus_per_node training processes."""

    partition: Name | None = Field(None, description="Partition; absent: the cluster's default.")
    account: Name | None = Field(None, description="Account that the time is charged to.")
    qos: Name | None = Field(None, description="Quality of service.")
    time: Annotated[str, StringConstraints(pattern=TIME)] | None = Field(
        None, description="Time limit: minutes, hours:minutes:seconds or days-hours; absent: the partition's."
    )
    nodes: int = Field(1, ge=1, le=4096, description="Machines.")
    gpus_per_node: int = Field(
        0, ge=0, le=64, description="GPUs of each, one training process each; 0: one process on its CPUs."
    )
    gpu_type: Name | None = Field(None, description="Type of GPU, by the cluster's own word.")
    cpus_per_task: int | None = Field(None, ge=1, le=1024, description="CPU cores of each training process.")
    mem: Annotated[str, StringConstraints(pattern=MEMORY)] | None = Field(
        None, description="Memory of each node, as in 64G; 0 is all of it, absent the partition's default."
    )
    constraint: Annotated[str, StringConstraints(pattern=FEATURES)] | None = Field(
        None, description="Features that the nodes must have, as in a100&nvlink."
    )
    exclude: Annotated[str, StringConstraints(pattern=NODES)] | None = Field(
        None, description="Nodes not to use, as in node[3-5],node9."
    )
    modules: list[Annotated[str, StringConstraints(pattern=MODULE)]] | None = Field(
        None, description="Environment modules to load, in this order."
    )
    setup: Text | None = Field(
        None, description="Shell file read in the job before the training starts: proxies, limits, paths."
    )
    cache: Text | None = Field(
        None,
        description="Folder that all nodes see, for models, datasets and references; absent: your home's.",
    )
    container: Word | None = Field(
        None, description="Image that the training runs in: a file, or a name that its runtime can pull."
    )
    container_runtime: Literal["apptainer", "singularity", "pyxis"] = Field(
        "apptainer", description="What opens the image: a program on the nodes, or srun itself (pyxis)."
    )
    container_python: Word = Field("python3", description="The image's own Python, which has dpo-tui.")
    container_mounts: list[Text] | None = Field(
        None, description="Folders the image sees besides those of the run, its inputs and the cache."
    )
    requeue: bool = Field(
        True, description="Before the time limit save, queue again, and go on until all is trained."
    )
    grace: int = Field(
        300, ge=30, le=65535, description="Seconds before the time limit at which that begins."
    )
    array: dict[Text, list[str | int | float | bool]] | None = Field(
        None,
        description="A sweep: keys of the config with the values they take, one run for each combination.",
    )
    parallel: int | None = Field(None, ge=1, le=1000, description="Most runs of a sweep at the same time.")
