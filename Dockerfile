# The controller in a container: wheel and environment are made in the first stage, the second holds only what runs.
#
#   docker build -t x0tta6bl4 .
#   docker build --build-arg PYTHON_IMAGE=python:3.13-slim-bookworm@sha256:...   for a build that never changes
#
# How to run it: docs/how-to/container.md
ARG PYTHON_IMAGE=python:3.13-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
WORKDIR /source
# pip stands in an environment of its own: the one that is copied has none.
RUN python3 -m venv /opt/pip && python3 -m venv --without-pip /opt/x0tta6bl4
COPY requirements-image.lock ./
RUN /opt/pip/bin/pip --python /opt/x0tta6bl4/bin/python install --no-cache-dir --disable-pip-version-check \
      --only-binary :all: --require-hashes -r requirements-image.lock
COPY pyproject.toml README.md LICENSE ./
COPY src ./src
RUN /opt/pip/bin/pip wheel --no-cache-dir --disable-pip-version-check --no-deps --wheel-dir /wheel . \
 && /opt/pip/bin/pip --python /opt/x0tta6bl4/bin/python install --no-cache-dir --disable-pip-version-check \
      --no-deps /wheel/*.whl

FROM ${PYTHON_IMAGE}
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="x0tta6bl4" \
      org.opencontainers.image.description="A self-healing controller for batman-adv mesh networks" \
      org.opencontainers.image.source="https://github.com/x0tta6bl4/x0tta6bl4" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# /run/x0tta6bl4 is for a token that another container shall read; a new volume there takes over its owner.
RUN useradd --no-log-init --uid 10001 --user-group --no-create-home --home-dir /var/lib/x0tta6bl4 --shell /usr/sbin/nologin x0tta6bl4 \
 && install -d -m 0700 -o x0tta6bl4 -g x0tta6bl4 /var/lib/x0tta6bl4 /run/x0tta6bl4
COPY --from=build /opt/x0tta6bl4 /opt/x0tta6bl4
ENV PATH=/opt/x0tta6bl4/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    X0T_API__HOST=0.0.0.0 \
    X0T_STORE__DIRECTORY=/var/lib/x0tta6bl4
USER 10001:10001
WORKDIR /var/lib/x0tta6bl4
VOLUME /var/lib/x0tta6bl4
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["python", "-c", "\
import http.client, os, sys; \
api = http.client.HTTPConnection('127.0.0.1', int(os.environ.get('X0T_API__PORT', '8000')), timeout=4); \
api.request('GET', '/health'); \
sys.exit(api.getresponse().status != 200)"]
CMD ["python", "-m", "x0tta6bl4.core.app"]
