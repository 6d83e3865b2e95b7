# The Python that the test suite runs on; both stages must agree, for the venv points to it.
ARG PYTHON=3.11-slim-bookworm

FROM python:${PYTHON} AS builder
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_INPUT=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
COPY requirements.lock ./
# Every wheel is checked against its hash here; nothing after this line is fetched from anywhere.
RUN pip download --require-hashes --only-binary :all: --dest /wheels -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY syncd ./syncd
# The folder holds one version of everything, so a version here would only say it twice.
# hadolint ignore=DL3013
RUN pip install --no-index --find-links /wheels editables hatchling \
 && pip wheel --no-index --no-deps --no-build-isolation --wheel-dir /wheels .
# Asked for by name, so only what the program needs moves in: the build tools stay behind.
# hadolint ignore=DL3013
RUN python -m venv --without-pip /opt/syncd \
 && pip --python /opt/syncd/bin/python install --no-compile --no-index --find-links /wheels 'syncd[postgres]' \
 && /opt/syncd/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/syncd/lib

FROM python:${PYTHON}
LABEL org.opencontainers.image.title="syncd" \
      org.opencontainers.image.description="Turns every paid shop order into exactly one correct Portuguese invoice." \
      org.opencontainers.image.licenses="MIT"
RUN groupadd --gid 10001 syncd \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/syncd --shell /usr/sbin/nologin syncd \
 && install -d -o 10001 -g 10001 -m 0750 /var/lib/syncd
COPY --from=builder /opt/syncd /opt/syncd
# Set here and not in a file: a loopback address or another port would be out of reach from outside the container.
ENV PATH=/opt/syncd/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    SYNCD_HTTP__HOST=0.0.0.0 \
    SYNCD_HTTP__PORT=8080
# The database's relative path starts here; it is the only folder written to (and /tmp by the demo).
WORKDIR /var/lib/syncd
# A number, so that Kubernetes can tell that it is not root.
USER 10001:10001
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
  CMD ["python", "-c", "import os, urllib.request as r; r.build_opener(r.ProxyHandler({})).open(f\"http://127.0.0.1:{os.environ['SYNCD_HTTP__PORT']}/healthz\", timeout=4)"]
ENTRYPOINT ["syncd"]
CMD ["run"]
