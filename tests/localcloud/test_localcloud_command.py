"""The new outages from the command line, against a localcloud that runs as a command of its own."""

import contextlib
import json
import ssl
from http.client import HTTPSConnection
from pathlib import Path

from tests.cli.running import Sidestep, document, started


def test_outages_of_every_new_kind_are_started_and_shown(tmp_path: Path) -> None:
    with started("localcloud", "--port", "0", "--tls", "--names", "--json", folder=tmp_path) as process:
        where = document(process.stdout)
        sidestep = Sidestep(tmp_path, where["control"], where["control"])
        said = {
            ("AWS", "dns-nxdomain", "--keep-connections"): "AWS is out: dns-nxdomain (open connections stay)",
            ("GCP", "dns-timeout", "--flap", "5,5"): "GCP is out: dns-timeout (5 s on, 5 s off)",
            ("AZURE", "bad-certificate"): "AZURE is out: bad-certificate",
            ("AWS", "cold-start", "--delay-ms", "2000", "--warm", "10"): (
                "AWS is out: cold-start (2000 ms, 10 warm)"
            ),
            ("GCP", "slow", "--factor", "10", "--ramp", "30"): (
                "GCP is out: slow (10 times as long, growing for 30 s)"
            ),
            ("GCP", "function-raises", "--error", "OperationalError", "--message", "gone"): (
                "GCP is out: function-raises (OperationalError)"
            ),
            ("AZURE", "function-raises-unmarked", "--function", "my-func"): (
                "AZURE is out: function-raises-unmarked (function my-func)"
            ),
            ("AWS", "error", "--status", "500", "--executed"): (
                "AWS is out: error (status 500, after the execution)"
            ),
        }
        for arguments, words in said.items():
            done = sidestep("localcloud", "outage", *arguments, "--url", where["control"])
            assert (done.code, done.out.strip()) == (0, words)
        shown = sidestep("localcloud", "status", "--url", where["control"], "--json").json()
        rules = {
            name: [rule["kind"] for rule in cloud["outages"]] for name, cloud in shown["providers"].items()
        }
        assert rules == {
            "AWS": ["dns-nxdomain", "cold-start", "error"],
            "GCP": ["dns-timeout", "slow", "function-raises"],
            "AZURE": ["bad-certificate", "function-raises-unmarked"],
        }
        host, port = where["nameServer"].split(":")
        assert shown["nameServer"] == {"host": host, "port": int(port)}
        refused = sidestep(
            "localcloud", "outage", "AWS", "function-raises-unmarked", "--url", where["control"]
        )
        assert refused.code != 0
        assert "AWS marks every error of a function" in refused.err


def test_a_command_with_certificates_says_whom_to_trust(tmp_path: Path) -> None:
    ca_file = tmp_path / "ca.pem"
    with started(
        "localcloud", "--port", "0", "--tls", "--ca-file", str(ca_file), "--json", folder=tmp_path
    ) as process:
        where = document(process.stdout)
        assert where["caFile"] == str(ca_file)
        assert where["environment"]["SIDESTEP_PROVIDERS__AZURE__CA_FILE"] == str(ca_file)
        trusting = ssl.create_default_context(cafile=where["caFile"])
        connection = HTTPSConnection(
            where["providers"]["AZURE"].removeprefix("https://"), context=trusting, timeout=10
        )
        with contextlib.closing(connection):
            connection.request("GET", "/")
            assert connection.getresponse().status == 200
        assert json.dumps(where["names"]).count("https://") == 3


def test_a_file_for_an_authority_that_is_not_there_is_refused(tmp_path: Path) -> None:
    done = Sidestep(tmp_path, "", "")("localcloud", "--ca-file", "ca.pem")
    assert (done.code, done.err.strip()) == (2, "--ca-file belongs to --tls.")
