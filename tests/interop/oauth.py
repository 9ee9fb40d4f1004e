"""The official Python MCP client signs in at an authorization server on this machine, and asks for a wider scope. With
`--oauth-redact-phi` it sees tokens, whatever it asks for."""

import asyncio
import json
import os
import socket
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request
from contextlib import asynccontextmanager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
import pydicom
from cryptography.hazmat.primitives.asymmetric import ec
from mcp import ClientSession
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientMetadata
from pydicom.dataset import Dataset, FileMetaDataset

BINARY = os.environ["HEALTHIMAGING_BIN"]
KEY = ec.generate_private_key(ec.SECP256R1())
CALLBACK = "http://127.0.0.1:1/callback"


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


class Issuer(BaseHTTPRequestHandler):
    """Grants every scope that is asked for."""

    codes = {}
    asked = []
    fetches = 0

    def log_message(self, *_):
        pass

    @property
    def base(self):
        return f"http://127.0.0.1:{self.server.server_port}"

    def answer(self, status, body, headers=()):
        text = json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def do_GET(self):
        url = urlsplit(self.path)
        if url.path == "/.well-known/oauth-authorization-server":
            return self.answer(200, {
                "issuer": self.base, "jwks_uri": self.base + "/jwks",
                "authorization_endpoint": self.base + "/authorize", "token_endpoint": self.base + "/token",
                "registration_endpoint": self.base + "/register", "response_types_supported": ["code"],
                "grant_types_supported": ["authorization_code"], "code_challenge_methods_supported": ["S256"],
                "token_endpoint_auth_methods_supported": ["none"],
            })
        if url.path == "/jwks":
            Issuer.fetches += 1
            key = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(KEY.public_key()))
            return self.answer(200, {"keys": [{**key, "kid": "1", "alg": "ES256", "use": "sig"}]})
        if url.path == "/authorize":
            asked = {name: values[0] for name, values in parse_qs(url.query).items()}
            code = f"code-{len(self.codes)}"
            self.codes[code] = asked
            self.asked.append(asked.get("scope"))
            back = urlencode({"code": code, "state": asked["state"]})
            return self.answer(302, {}, [("Location", f"{CALLBACK}?{back}")])
        return self.answer(404, {})

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if self.path == "/register":
            return self.answer(201, {**json.loads(body), "client_id": "client-of-the-test"})
        form = {name: values[0] for name, values in parse_qs(body).items()}
        asked = self.codes.pop(form["code"])
        token = signed(self.base, asked["resource"], asked.get("scope", ""))
        return self.answer(200, {
            "access_token": token, "token_type": "Bearer", "expires_in": 300, "scope": asked.get("scope", "")})


def signed(issuer, audience, scope, key=KEY, algorithm="ES256", kid="1", **more):
    now = int(time.time())
    claims = {"iss": issuer, "aud": audience, "sub": "a.person", "scope": scope, "iat": now, "exp": now + 300, **more}
    claims = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(claims, key, algorithm=algorithm, headers={"kid": kid})


class Storage:
    tokens = client = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client):
        self.client = client


class Browser(urllib.request.HTTPRedirectHandler):
    """The browser of a person who agrees at once."""

    def __init__(self):
        self.answer = None

    def redirect_request(self, request, file, code, message, headers, url):
        self.answer = parse_qs(urlsplit(url).query)
        return None

    async def visit(self, url):
        def get():
            try:
                urllib.request.build_opener(self).open(url)
            except urllib.error.HTTPError as error:
                assert error.code == 302, error
        await asyncio.to_thread(get)

    async def called_back(self):
        return AuthorizationCodeResult(code=self.answer["code"][0], state=self.answer["state"][0])


@asynccontextmanager
async def signed_in(port):
    browser = Browser()
    metadata = OAuthClientMetadata(
        client_name="test", redirect_uris=[CALLBACK], grant_types=["authorization_code"],
        response_types=["code"], token_endpoint_auth_method="none")
    auth = OAuthClientProvider(
        f"http://127.0.0.1:{port}/mcp", metadata, Storage(), browser.visit, browser.called_back)
    async with create_mcp_http_client(auth=auth) as client:
        async with streamable_http_client(f"http://127.0.0.1:{port}/mcp", http_client=client) as streams:
            async with ClientSession(streams[0], streams[1]) as session:
                await session.initialize()
                yield session


@contextmanager
def served(data, port, issuer, *flags):
    server = subprocess.Popen(
        [BINARY, "--data-dir", data, "serve", "--http", f"127.0.0.1:{port}", "--oauth-issuer", issuer,
         "--oauth-audience", f"http://127.0.0.1:{port}/mcp", *flags],
        stderr=subprocess.PIPE, text=True, env={"PATH": os.environ["PATH"]})
    try:
        for line in server.stderr:
            if "MCP at" in line:
                break
        threading.Thread(target=server.stderr.read, daemon=True).start()
        yield
    finally:
        server.terminate()
        assert server.wait() == 0


def status(port, token):
    """Status and challenge of a request with a token."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/mcp", b"{}", {"Content-Type": "application/json", "Authorization": f"Bearer {token}"})
    try:
        return urllib.request.urlopen(request).status, ""
    except urllib.error.HTTPError as error:
        return error.code, error.headers.get("WWW-Authenticate", "")


async def converse(port):
    async with signed_in(port) as session:
        names = {tool.name for tool in (await session.list_tools()).tools}
        assert "list_datastores" in names and "create_datastore" not in names, names
        assert Issuer.asked == ["healthimaging:read"], Issuer.asked
        made = await session.call_tool("create_datastore", {"datastore_name": "first"})
        assert not made.is_error, made
        assert len(Issuer.asked) == 2 and "healthimaging:write" in Issuer.asked[1], Issuer.asked
        names = {tool.name for tool in (await session.list_tools()).tools}
        assert "create_datastore" in names and "delete_datastore" not in names, names


def import_patient(data):
    """Stores an instance of a patient with a name, an ID and a description."""
    instance = Dataset()
    instance.SOPClassUID = "1.2.840.10008.5.1.4.1.1.66"
    instance.SOPInstanceUID, instance.StudyInstanceUID, instance.SeriesInstanceUID = "2.25.1", "2.25.2", "2.25.3"
    instance.PatientID, instance.PatientName, instance.Modality = "MRN-20071984", "Secret^Name", "OT"
    instance.StudyDescription = "VISIT"
    file = os.path.join(data, "..", "instance.dcm")
    instance.file_meta = FileMetaDataset()
    instance.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    pydicom.dcmwrite(file, instance, enforce_file_format=True)
    subprocess.run([BINARY, "--data-dir", data, "import", file, "--datastore", "second"], check=True, capture_output=True)


async def redacted(port, is_redacted, is_described):
    async with signed_in(port) as session:
        found = await session.call_tool("search_image_sets", {"datastore_id": "second"})
        tags = found.structured_content["image_sets_metadata_summaries"][0]["dicom_tags"]
        assert tags["DICOMPatientId"].startswith("phi-") == is_redacted, tags
        text = found.model_dump_json()
        assert ("MRN-20071984" in text or "Secret" in text) != is_redacted, text
        assert ("VISIT" in text) == is_described, text


def main():
    issuer = ThreadingHTTPServer(("127.0.0.1", 0), Issuer)
    threading.Thread(target=issuer.serve_forever, daemon=True).start()
    base, port = f"http://127.0.0.1:{issuer.server_port}", free_port()
    audience = f"http://127.0.0.1:{port}/mcp"
    with tempfile.TemporaryDirectory() as folder:
        data = os.path.join(folder, "store")
        with served(data, port, base):
            metadata = json.load(urllib.request.urlopen(
                f"http://127.0.0.1:{port}/.well-known/oauth-protected-resource/mcp"))
            assert metadata["resource"] == audience and metadata["authorization_servers"] == [base], metadata
            asyncio.run(converse(port))
            check_wrong_tokens(port, base, audience)
            audit = subprocess.run([BINARY, "--data-dir", data, "audit", "show"], capture_output=True, text=True)
            assert '"credential":"oauth a.person"' in audit.stdout, audit.stdout
        import_patient(data)
        for flags, *shown in [([], False, True), (["--oauth-redact-phi"], True, True),
                              (["--oauth-redact-phi=strict"], True, False)]:
            port = free_port()
            with served(data, port, base, *flags):
                asyncio.run(redacted(port, *shown))


def check_wrong_tokens(port, base, audience):
    read = "healthimaging:read"
    good = signed(base, audience, read)
    assert status(port, good)[0] == 400, "admitted; the message itself is invalid"
    public = jwt.utils.base64url_encode(b'{"alg":"none"}').decode() + "." + good.split(".")[1] + "."
    stranger = ec.generate_private_key(ec.SECP256R1())
    now = int(time.time())
    for what, token in {
        "none": public,
        "HS256": signed(base, audience, read, "k" * 32, "HS256"),
        "another key": signed(base, audience, read, stranger),
        "an unknown key": signed(base, audience, read, stranger, kid="2"),
        "another audience": signed(base, "https://other.example/mcp", read),
        "another issuer": signed("https://other.example", audience, read),
        "no audience": signed(base, None, read),
        "no issuer": signed(None, audience, read),
        "no end": signed(base, audience, read, exp=None),
        "expired": signed(base, audience, read, exp=now - 120),
        "not yet": signed(base, audience, read, nbf=now + 120),
        "cut off": good[:-4],
        "no token": "not-a-jwt",
    }.items():
        code, challenge = status(port, token)
        assert code == 401 and 'error="invalid_token"' in challenge, (what, code, challenge)
        assert "resource_metadata=" in challenge, challenge
    for scope in ["", "openid", "healthimaging:reading"]:
        code, challenge = status(port, signed(base, audience, scope))
        assert code == 403 and 'error="insufficient_scope"' in challenge, (scope, code, challenge)
    # Tokens with unknown keys cause no load.
    assert Issuer.fetches <= 2, Issuer.fetches


main()
print("ok")
