# One recipe for every service: docker build --build-arg SERVICE=oauth-svc -f deploy/docker/service.Dockerfile .
# Only what that service declares is installed, at the locked versions; hashes in the constraints are verified.
ARG PYTHON=3.11-slim-bookworm
FROM python:${PYTHON} AS build
ARG SERVICE
WORKDIR /src
COPY requirements.lock pyproject.toml ./
COPY libs ./libs
COPY services ./services
COPY tools/provider-simulator ./tools/provider-simulator
RUN python -m venv /opt/wevion \
 && python -m pip install --no-cache-dir uv \
 && uv pip install --python /opt/wevion/bin/python --no-cache --no-editable -c requirements.lock \
      ./libs/client ./libs/common "./$(find services tools -maxdepth 1 -name "${SERVICE}")"

FROM python:${PYTHON}
ARG SERVICE
ENV PATH=/opt/wevion/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    WEVION_HTTP_HOST=0.0.0.0 \
    WEVION_LOG_FORMAT=json \
    WEVION_SECRETS_DIR=/run/secrets \
    SERVICE=${SERVICE}
RUN useradd --system --uid 10001 wevion
COPY --from=build /opt/wevion /opt/wevion
USER 10001
ENTRYPOINT ["/bin/sh", "-c", "exec \"$SERVICE\" \"$@\"", "--"]
CMD ["run"]
