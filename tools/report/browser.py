"""A headless Chromium, driven through the DevTools protocol."""

import base64
import itertools
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import time

import websocket


class Browser:
    """A process of its own with one tab; everything that the page says is kept."""

    def __init__(self):
        program = os.environ.get("STRATA_CHROMIUM") or shutil.which("chromium") or shutil.which(
            "google-chrome")
        if program is None:
            raise SystemExit("no Chromium is here: STRATA_CHROMIUM names one")
        self.profile = tempfile.mkdtemp(prefix="strata-report-")
        self.errors = open(os.path.join(self.profile, "errors"), "w")
        options = [
            "--headless=new", "--disable-gpu", "--hide-scrollbars", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            "--remote-debugging-port=0", f"--user-data-dir={self.profile}", "--lang=en",
            "--force-color-profile=srgb", "about:blank",
        ]
        # Chromium refuses its own sandbox to the superuser, as whom containers run.
        if os.geteuid() == 0:
            options.insert(0, "--no-sandbox")
        self.process = subprocess.Popen(
            [program] + options, stdout=subprocess.DEVNULL, stderr=self.errors)
        self.numbers = itertools.count(1)
        self.messages = []
        self.loaded = False
        self.socket = websocket.create_connection(
            self._address(), timeout=120, suppress_origin=True)
        target = self._send("Target.createTarget", {"url": "about:blank"})["targetId"]
        self.session = None
        self.session = self._send(
            "Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network", "Audits"):
            self._send(f"{domain}.enable", {})

    def _address(self):
        port_file = pathlib.Path(self.profile, "DevToolsActivePort")
        for _ in range(600):
            if port_file.exists() and len(port_file.read_text().split("\n")) >= 2:
                port, path = port_file.read_text().split("\n")[:2]
                return f"ws://127.0.0.1:{port}{path}"
            if self.process.poll() is not None:
                raise SystemExit("Chromium ended at once: "
                                 + pathlib.Path(self.errors.name).read_text()[-2000:])
            time.sleep(0.1)
        raise SystemExit("Chromium does not answer")

    def _send(self, method, parameters):
        number = next(self.numbers)
        message = {"id": number, "method": method, "params": parameters}
        if getattr(self, "session", None):
            message["sessionId"] = self.session
        self.socket.send(json.dumps(message))
        while True:
            answer = json.loads(self.socket.recv())
            if answer.get("id") == number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            self._note(answer)

    def _note(self, event):
        method, parameters = event.get("method"), event.get("params", {})
        if method == "Page.loadEventFired":
            self.loaded = True
        elif method == "Runtime.consoleAPICalled":
            self.messages.append(f"console: {parameters['args']}")
        elif method == "Runtime.exceptionThrown":
            self.messages.append(f"exception: {parameters['exceptionDetails']}")
        elif method == "Log.entryAdded":
            self.messages.append(f"log: {parameters['entry']['text']}")
        elif method == "Audits.issueAdded":
            self.messages.append(f"issue: {parameters['issue']['code']}")
        elif method == "Network.requestWillBeSent":
            address = parameters["request"]["url"]
            if address != getattr(self, "address", None):
                self.messages.append(f"request: {address}")

    def open(self, path):
        """Loads a file; `messages` are then all that it said."""
        self.messages, self.loaded = [], False
        self.address = pathlib.Path(path).resolve().as_uri()
        self._send("Page.navigate", {"url": self.address})
        end = time.monotonic() + 60
        while not self.loaded:
            if time.monotonic() > end:
                raise RuntimeError(f"{path}: does not load")
            self.evaluate("1")
            time.sleep(0.02)

    def show(self, theme, width, height=900, media=""):
        """Sets the theme and the window."""
        self._send("Emulation.setEmulatedMedia", {
            "media": media, "features": [{"name": "prefers-color-scheme", "value": theme}]})
        self._send("Emulation.setDeviceMetricsOverride", {
            "width": width, "height": height, "deviceScaleFactor": 2 if width < 500 else 1,
            "mobile": width < 500})

    def evaluate(self, expression):
        """The value of an expression in the page."""
        answer = self._send("Runtime.evaluate", {
            "expression": expression, "returnByValue": True, "awaitPromise": True})
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{expression[:80]}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def press(self, key, code):
        """A key goes down and up."""
        for kind in ("keyDown", "keyUp"):
            self._send("Input.dispatchKeyEvent", {
                "type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code})

    def screenshot(self, path, clip=None):
        """The whole page, or a part of it, as a PNG."""
        if clip is None:
            size = self._send("Page.getLayoutMetrics", {})["cssContentSize"]
            clip = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], 15000)}
        clip.setdefault("scale", 1)
        answer = self._send("Page.captureScreenshot", {
            "format": "png", "captureBeyondViewport": True, "clip": clip})
        pathlib.Path(path).write_bytes(base64.b64decode(answer["data"]))

    def pdf(self):
        """The page as it is printed on A4."""
        answer = self._send("Page.printToPDF", {
            "printBackground": True, "paperWidth": 8.27, "paperHeight": 11.69})
        return base64.b64decode(answer["data"])

    def close(self):
        """Ends the process."""
        try:
            self.socket.close()
        finally:
            self.process.terminate()
            self.process.wait(timeout=30)
            self.errors.close()
            shutil.rmtree(self.profile, ignore_errors=True)
