"""liba deploy"""

from pathlib import Path
from typing import Annotated

import typer

from libacli.cli.options import AsJson, ForceFiles, group

app = group("Files that run liba in containers, Kubernetes, systemd.")

Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FILE", help="Write to a file instead of standard output"),
]
OutputFolder = Annotated[
    Path | None,
    typer.Option("--output-dir", metavar="FOLDER", help="Write files to a folder instead of standard output"),
]
Image = Annotated[str, typer.Option("--image", help="Container image; else liba of this version")]
AgentName = Annotated[str, typer.Option("--agent-name", help="Name the agent is dispatched by")]
MaxRooms = Annotated[int, typer.Option("--max-rooms", min=1, max=1000, help="Rooms of one worker at a time")]
Replicas = Annotated[int, typer.Option("--replicas", min=1, max=1000, help="Workers, at least")]
Address = Annotated[str, typer.Option("--url", help="LiveKit server URL; else to be filled in")]
FromSource = Annotated[
    bool, typer.Option("--from-source", help="Built in the folder of liba's source, not from a package index")
]


@app.command("dockerfile")
def dockerfile_(
    from_source: FromSource = False, output: Output = None, force: ForceFiles = False, as_json: AsJson = False
) -> None:
    """Print a Dockerfile, with all versions as here.

    \b
    liba deploy dockerfile | docker build -t liba -
    liba deploy dockerfile --from-source -o Dockerfile
    """
    from libacli.cli.runs.deploy import DeployRun, dockerfile_files

    DeployRun(dockerfile_files(from_source=from_source), as_json=as_json).to_file(output, force=force)


@app.command("compose")
def compose_(
    image: Image = "",
    url: Address = "",
    agent_name: AgentName = "liba",
    max_rooms: MaxRooms = 8,
    replicas: Replicas = 1,
    parts: Annotated[
        str, typer.Option("--with", metavar="PARTS", help="Of serve, redis, livekit, openai, tavus")
    ] = "serve,redis",
    output: Output = None,
    force: ForceFiles = False,
    as_json: AsJson = False,
) -> None:
    """Print a file for Docker Compose: all on one machine.

    \b
    liba deploy compose -o compose.yaml
    liba deploy compose --with serve,redis,livekit    a LiveKit server, too
    liba deploy compose --with openai,tavus --url wss://my-project.livekit.cloud
    """
    from libacli.cli.runs.deploy import DeployRun, compose_files

    files = compose_files(
        parts, image=image, url=url, agent_name=agent_name, max_rooms=max_rooms, replicas=replicas
    )
    DeployRun(files, as_json=as_json).to_file(output, force=force)


@app.command("k8s")
def k8s_(
    image: Image = "",
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="Namespace of all objects")] = "liba",
    url: Address = "",
    agent_name: AgentName = "liba",
    max_rooms: MaxRooms = 8,
    replicas: Replicas = 2,
    parts: Annotated[
        str, typer.Option("--with", metavar="PARTS", help="Of serve, redis, openai, tavus, network-policy")
    ] = "serve,redis",
    output: Output = None,
    force: ForceFiles = False,
    as_json: AsJson = False,
) -> None:
    """Print manifests for Kubernetes.

    \b
    liba deploy k8s --image registry.example.org/liba:1.0 -o liba.yaml
    liba deploy k8s --with serve,redis,openai,tavus,network-policy
    """
    from libacli.cli.runs.deploy import DeployRun, k8s_files

    files = k8s_files(
        parts,
        image=image,
        namespace=namespace,
        url=url,
        agent_name=agent_name,
        max_rooms=max_rooms,
        replicas=replicas,
    )
    DeployRun(files, as_json=as_json).to_file(output, force=force)


@app.command("systemd")
def systemd_(
    program: Annotated[str, typer.Option("--program", help="Where liba is installed")] = "/opt/liba/bin/liba",
    agent_name: AgentName = "liba",
    max_rooms: MaxRooms = 8,
    parts: Annotated[
        str, typer.Option("--with", metavar="PARTS", help="Of serve, redis, openai, tavus")
    ] = "serve",
    output_dir: OutputFolder = None,
    force: ForceFiles = False,
    as_json: AsJson = False,
) -> None:
    """Print units for systemd, and their user.

    \b
    liba deploy systemd
    liba deploy systemd --with serve,openai,tavus --output-dir units
    """
    from libacli.cli.runs.deploy import DeployRun, systemd_files

    files = systemd_files(parts, program=program, agent_name=agent_name, max_rooms=max_rooms)
    DeployRun(files, as_json=as_json).to_folder(output_dir, force=force)


@app.command("livekit-cloud")
def livekit_cloud_(
    url: Address = "",
    agent_id: Annotated[
        str | None, typer.Option("--agent-id", help="An agent that is there already: CA_...")
    ] = None,
    agent_name: AgentName = "liba",
    max_rooms: MaxRooms = 8,
    from_source: FromSource = False,
    output_dir: OutputFolder = None,
    force: ForceFiles = False,
    as_json: AsJson = False,
) -> None:
    """Print what LiveKit Cloud builds: lk agent create.

    \b
    liba deploy livekit-cloud --output-dir liba-agent
    liba deploy livekit-cloud --url wss://mine.livekit.cloud --agent-id CA_x
    """
    from libacli.cli.runs.deploy import DeployRun, livekit_cloud_files

    files = livekit_cloud_files(
        url=url, agent_id=agent_id, agent_name=agent_name, max_rooms=max_rooms, from_source=from_source
    )
    DeployRun(files, as_json=as_json).to_folder(output_dir, force=force)
