//! `redact-token`, and `serve --redact-phi`, which serves MCP alone.

use crate::http::Served;
use crate::rig::{Rig, stdout};

#[test]
fn a_person_gets_the_token_of_a_value() {
    let rig = Rig::new();
    let token = stdout(&rig.run(&["redact-token", "PatientID", "MRN-1"]));
    assert!(token.starts_with("phi-00100020-") && token.lines().count() == 1, "{token}");
    // The same in every process, by keyword and by tag, and with padding.
    for words in [["PatientID", "MRN-1 "], ["00100020", "MRN-1"]] {
        assert_eq!(stdout(&rig.run(&["redact-token", words[0], words[1]])), token);
    }
    let other = Rig::new();
    assert_ne!(stdout(&other.run(&["redact-token", "PatientID", "MRN-1"])), token);
    let json = stdout(&rig.run(&["redact-token", "PatientID", "MRN-1", "--json"]));
    assert_eq!(json, format!("{{\"token\":\"{}\"}}\n", token.trim()));
    for wrong in [["NoSuchKeyword", "1"], ["Modality", "CT"], ["PatientID", " "]] {
        let failed = rig.run(&["redact-token", wrong[0], wrong[1]]);
        assert!(!failed.status.success() && failed.stdout.is_empty(), "{wrong:?}");
    }
}

#[test]
fn serve_offers_mcp_alone() {
    let rig = Rig::new();
    let served = Served::start(&rig, &["--redact-phi"]);
    for path in ["/", "/datastore", "/datastore/ward/studies", "/imageSet"] {
        let answer = served.ask(&format!("GET {path}"), "");
        assert!(answer.starts_with("HTTP/1.1 404"), "{path}: {answer}");
    }
    let healthy = served.ask("GET /healthz", "");
    assert!(healthy.starts_with("HTTP/1.1 200"), "{healthy}");
    let mcp = served.ask("GET /mcp", "");
    assert!(!mcp.starts_with("HTTP/1.1 404"), "{mcp}");
}
