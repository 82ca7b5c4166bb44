# The app in a slim image: docker build -t nlviz . && docker run -p 8501:8501 nlviz
# We had no Docker engine, so this image was never built by us; tests/package/test_dockerfile.py runs
# its steps as a script in an empty folder.
FROM python:3.11-slim

ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1

# The pinned requirements first: a change of the code does not install them anew.
WORKDIR /build
COPY requirements.txt ./
# PyTorch's own index has a build for the CPU alone, without gigabytes of CUDA.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
RUN pip install --extra-index-url $TORCH_INDEX -r requirements.txt
COPY . ./
RUN pip install --no-deps . && nlviz models

# The weights and clips are in the package. Nothing runs as root, and nothing of the build is left.
RUN useradd --create-home nlviz && rm -rf /build/*
USER nlviz
WORKDIR /home/nlviz

# Others reach the app through the container's port. Name the hosts under which they may, as in
# docker run -e STREAMLIT_SERVER_ALLOWED_HOSTS=demo.example.org …; read SECURITY.md first.
ENV STREAMLIT_SERVER_ADDRESS=0.0.0.0
EXPOSE 8501
HEALTHCHECK --start-period=60s --interval=30s --timeout=5s \
    CMD python -c "from urllib.request import urlopen; urlopen('http://127.0.0.1:8501/_stcore/health')"
CMD ["nlviz", "app", "--port", "8501"]
