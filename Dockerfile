# The nightly job alone: no DVC, no MLflow, no git. Build: docker build --tag corekeep-score .
# Run: docs/operations.md. The bundle of the champion is mounted, so a new champion needs no build.
FROM python:3.11-slim

RUN apt-get update && apt-get install --yes --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/* \
    && pip install --no-cache-dir uv

WORKDIR /corekeep
COPY requirements.lock requirements-score.txt ./
RUN uv pip install --system --no-cache --constraint requirements.lock \
    --requirement requirements-score.txt

COPY pyproject.toml README.md LICENSE dvc.yaml params.yaml playbook.yaml ./
COPY features features
COPY models models
COPY pipeline pipeline
COPY shops shops
COPY sources sources

# compiled kernels are kept in the image: without them each night would compile for half a minute
ENV NUMBA_CACHE_DIR=/corekeep/.cache/numba NUMBA_CPU_NAME=generic
RUN useradd --create-home --uid 10001 corekeep && mkdir -p data .cache && chown -R corekeep data .cache
USER corekeep

ENTRYPOINT ["python", "-m", "pipeline", "score", "--json"]
