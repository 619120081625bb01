# The image of every role: `docker run ... sidestep:local serve`, `... worker`, `... localcloud`.
#
#   docker build -t sidestep:local .
#
# Where packages come from is told from outside: `--secret id=pip_conf,src=FILE` is pip's configuration and
# `--secret id=ca,src=FILE` a bundle of certificate authorities. Neither is left in a layer.
# The base image has to bring Python 3.11 or later with pip and venv.
ARG PYTHON_IMAGE=python:3.11-slim

FROM ${PYTHON_IMAGE} AS builder
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
# pip stays outside of the environment that it fills: what runs needs no installer.
RUN python3 -m venv /build/tools && python3 -m venv --without-pip /opt/sidestep
COPY requirements-build.lock requirements-run.lock ./
RUN --mount=type=secret,id=pip_conf,target=/etc/pip.conf --mount=type=secret,id=ca \
    if [ -s /run/secrets/ca ]; then export PIP_CERT=/run/secrets/ca; fi \
 && tools/bin/pip install --quiet --no-compile --require-hashes --only-binary :all: -r requirements-build.lock \
 && tools/bin/pip --python /opt/sidestep/bin/python install --quiet --no-compile --require-hashes \
      --only-binary :all: -r requirements-run.lock
COPY pyproject.toml README.md LICENSE ./
COPY core core
COPY adapters adapters
COPY api api
COPY cli cli
COPY localcloud localcloud
COPY sdk/function/python sdk/function/python
# The wheel is built with the tools that are hashed above, and nothing is fetched any more. Compiled here, for
# good: unchecked, since nobody can write there later.
RUN tools/bin/pip wheel --quiet --no-deps --no-build-isolation --no-index --wheel-dir dist . \
 && tools/bin/pip --python /opt/sidestep/bin/python install --quiet --no-compile --no-deps --no-index dist/*.whl \
 && /opt/sidestep/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash \
      /opt/sidestep/lib/python3*/site-packages

FROM ${PYTHON_IMAGE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Sidestep" \
      org.opencontainers.image.description="A control plane above the clouds: workflows that complete while a region is down." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# The files stay root's; the user that runs them can write in its volume and in /tmp, and nowhere else.
RUN groupadd --gid 10001 sidestep \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/sidestep --shell /usr/sbin/nologin sidestep \
 && install -d -o 10001 -g 10001 -m 0750 /var/lib/sidestep /run/sidestep
COPY --from=builder /opt/sidestep /opt/sidestep
COPY --chmod=0555 compose/healthy.py /opt/sidestep/healthy.py
# In a container the network namespace is the boundary: published ports decide who reaches this.
ENV PATH=/opt/sidestep/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    SIDESTEP_HOST=0.0.0.0 \
    SIDESTEP_PORT=3000 \
    SIDESTEP_WORKER_PORT=3001
USER 10001:10001
# The default store, sqlite:sidestep.db, lies here: mount a volume.
WORKDIR /var/lib/sidestep
EXPOSE 3000
HEALTHCHECK --interval=5s --timeout=4s --start-period=30s --retries=3 \
    CMD ["/opt/sidestep/bin/python", "-I", "-S", "/opt/sidestep/healthy.py"]
ENTRYPOINT ["sidestep"]
CMD ["serve"]
