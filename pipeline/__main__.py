"""The command line: `corekeep ...`, the same as `python -m pipeline ...`."""

import sys

import typer

from pipeline.errors import Refused

app = typer.Typer(add_completion=False, no_args_is_help=True, help=__doc__, pretty_exceptions_enable=False)


@app.command()
def stage(name: str) -> None:
    """Run one stage of dvc.yaml for the shop chosen in params.yaml."""
    from pipeline.runner import run_stage

    run_stage(name)


@app.callback()
def _corekeep() -> None:
    """Who among our customers is about to leave, why, and whom is it worth calling."""


def main() -> None:
    """Entry point: expected errors end with one line and their exit code."""
    try:
        app()
    except Refused as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
