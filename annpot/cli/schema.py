"""The command ``annpot schema``: what may stand in a settings file."""

from __future__ import annotations

import click


@click.command()
@click.option(
    "--yaml", "as_yaml", is_flag=True, help="Print a commented in.yaml with defaults."
)
@click.option(
    "--reference",
    "as_reference",
    is_flag=True,
    help="Print a table of all keys in Markdown.",
)
def schema(as_yaml: bool, as_reference: bool) -> None:
    """Print what may stand in a settings file, as JSON schema.

    \b
    annpot schema --yaml > in.yaml       start from a commented example
    annpot schema > annpot.schema.json   let your editor check in.yaml
    """  # noqa: D301
    import json

    from annpot.settings import commented_yaml, json_schema, settings_reference

    if as_yaml and as_reference:
        raise click.UsageError("--yaml and --reference exclude each other")
    if as_yaml:
        text = commented_yaml()
    elif as_reference:
        text = settings_reference()
    else:
        text = json.dumps(json_schema(), indent=2) + "\n"
    click.echo(text, nl=False)
