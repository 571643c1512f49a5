# The nightly job alone: no DVC, no MLflow, no git. Build: docker build --tag corekeep-score .
# Run: docs/how-to/operations.md. The bundle of the champion is mounted, so a new champion needs no build.
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

# kernels are compiled in the first night and kept here: mount a volume
ENV NUMBA_CACHE_DIR=/cache
RUN useradd --create-home --uid 10001 corekeep && mkdir /cache && chown corekeep /cache
USER corekeep

ENTRYPOINT ["python", "-m", "pipeline", "score", "--json"]
