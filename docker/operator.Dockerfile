# The operator and the command line: no torch. Build it with `python scripts/images.py operator`.
#
# Runs as any user, on a read-only root filesystem. Only the last stage is in the image.
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

FROM tools AS dependencies
COPY requirements/operator.lock /requirements/
RUN --mount=type=secret,id=certificates,target=/etc/ssl/certs/ca-certificates.crt \
    --mount=type=cache,target=/root/.cache/uv \
    python3 -m venv --without-pip /opt/mmaction \
    && uv pip install --python /opt/mmaction/bin/python \
        --no-deps --require-hashes --only-binary :all: --requirement /requirements/operator.lock
# A hundred megabytes that nothing here imports: the Kubernetes client's second copy, for asyncio, and botocore's
# descriptions of 400 services. S3 stays, and what hands out credentials for it.
RUN cd /opt/mmaction/lib/python3.*/site-packages \
    && rm -r kubernetes/aio \
    && find botocore/data -mindepth 1 -maxdepth 1 -type d \
        ! -name s3 ! -name sts ! -name sso ! -name sso-oidc ! -name signin -exec rm -r {} +

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
LABEL org.opencontainers.image.title="mmaction-operator" \
      org.opencontainers.image.description="Runs MMAction2 trainings on Kubernetes: the controller, and trainjob" \
      org.opencontainers.image.licenses="Apache-2.0"
# One environment in two layers: a change of the project's code leaves the larger one as it is.
COPY --from=dependencies /opt/mmaction /opt/mmaction
COPY --from=project /opt/mmaction /opt/mmaction
# A user without an entry in /etc/passwd has no home; /tmp is where one can be mounted.
ENV PATH=/opt/mmaction/bin:$PATH HOME=/tmp PYTHONUNBUFFERED=1
USER 65532:65532
ENTRYPOINT ["trainjob"]
