# What trains: MMAction2 on torch with CUDA. Build it with `python scripts/images.py trainer`.
#
# Runs as any user, on a read-only root filesystem with a writable /tmp. Only the last stage is in the image.
ARG BASE_IMAGE=docker.io/library/python:3.11-slim-bookworm

FROM ${BASE_IMAGE} AS tools
# The builder's certificates, if it hands them in, hold for the length of one RUN and are in no layer: companies whose
# proxy has its own authority need no image of their own.
ENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt UV_SYSTEM_CERTS=true UV_LINK_MODE=copy UV_COMPILE_BYTECODE=true
COPY requirements/bootstrap.lock /requirements/
RUN --mount=type=secret,id=certificates,target=/etc/ssl/certs/ca-certificates.crt \
    python3 -m venv /opt/tools \
    && /opt/tools/bin/pip install --no-cache-dir --require-hashes --requirement /requirements/bootstrap.lock
ENV PATH=/opt/tools/bin:$PATH

FROM tools AS project
COPY requirements/build.lock /requirements/
COPY pyproject.toml README.md LICENSE NOTICE /source/
COPY operator /source/operator
COPY trainer /source/trainer
RUN --mount=type=secret,id=certificates,target=/etc/ssl/certs/ca-certificates.crt \
    --mount=type=cache,target=/root/.cache/uv \
    uv build --wheel --build-constraints /requirements/build.lock --require-hashes --out-dir /wheel /source \
    && python3 -m venv --without-pip /opt/mmaction \
    && uv pip install --python /opt/mmaction/bin/python --no-deps /wheel/*.whl

FROM ${BASE_IMAGE}
LABEL org.opencontainers.image.title="mmaction-trainer" \
      org.opencontainers.image.description="Trains video action-recognition models with MMAction2 on current torch" \
      org.opencontainers.image.licenses="Apache-2.0"
# The environment in three layers, from what changes least: torch's gigabytes are built, pushed and pulled anew only
# when torch's own pins change. They are installed in place, by a uv that is only mounted: copied from a stage they
# would be written twice. Locks are copied and not mounted because not every engine looks into a mount for changes.
ARG INSTALL="/opt/tools/bin/uv pip install --python /opt/mmaction/bin/python --system-certs --link-mode copy \
--compile-bytecode --no-deps --require-hashes --only-binary :all:"
COPY requirements/torch.lock /opt/mmaction/requirements/
RUN --mount=type=secret,id=certificates,target=/etc/ssl/certs/ca-certificates.crt \
    --mount=type=cache,target=/root/.cache/uv \
    --mount=type=bind,from=tools,source=/opt/tools,target=/opt/tools \
    python3 -m venv --without-pip /opt/mmaction && $INSTALL --requirement /opt/mmaction/requirements/torch.lock
COPY requirements/trainer.lock /opt/mmaction/requirements/
RUN --mount=type=secret,id=certificates,target=/etc/ssl/certs/ca-certificates.crt \
    --mount=type=cache,target=/root/.cache/uv \
    --mount=type=bind,from=tools,source=/opt/tools,target=/opt/tools \
    $INSTALL --requirement /opt/mmaction/requirements/trainer.lock
# `import mmaction.models`, and so MMAction2's own scripts, fail on the wheel as it is.
COPY docker/missing /opt/mmaction/lib/python3.11/site-packages
COPY --from=project /opt/mmaction /opt/mmaction
# A user without an entry in /etc/passwd has no home; /tmp is where one can be mounted. The caches of torch, triton and
# matplotlib follow it.
ENV PATH=/opt/mmaction/bin:$PATH HOME=/tmp PYTHONUNBUFFERED=1
USER 65532:65532
ENTRYPOINT ["mmaction-trainer"]
