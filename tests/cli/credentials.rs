//! AWS credentials: renewal while a server runs, and errors.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use healthimaging_client::{Client, ToolAnswer};
use serde_json::{Map, Value, json};

use crate::rig::{Rig, stderr, stdout};
use crate::stub::{Stub, json as answer};

/// AWS as it answers keys that have expired (`OLD` in their ID), and others.
fn aws() -> Stub {
    Stub::http(|head| {
        if head.contains("Credential=AKIDOLD") {
            let body = r#"{"message":"The security token included in the request is expired"}"#;
            return answer(403, "x-amzn-ErrorType: ExpiredTokenException\r\n", body);
        }
        let body = if head.contains("/studies") { "[]" } else { r#"{"datastoreSummaries":[]}"# };
        answer(200, "", body)
    })
}

/// The program with a home of its own, on AWS at the stub.
fn program(rig: &Rig, stub: &Stub, words: &[&str]) -> Command {
    let mut command = rig.command(&["--backend", "aws"]);
    let path = std::env::var_os("PATH").unwrap_or_default();
    command
        .args(words)
        .env("HOME", rig.folder.path())
        .env("PATH", path)
        .env("AWS_REGION", "us-east-1")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_ENDPOINT_URL_MEDICAL_IMAGING", format!("http://127.0.0.1:{}", stub.port));
    command
}

fn write(rig: &Rig, name: &str, text: &str) {
    let path = rig.path(".aws").join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn keys(id: &str) -> String {
    format!("[default]\naws_access_key_id = {id}\naws_secret_access_key = secret\n")
}

/// What a credential process prints, without an expiration.
fn printed(id: &str) -> String {
    json!({ "Version": 1, "AccessKeyId": id, "SecretAccessKey": "secret" }).to_string()
}

async fn start(command: Command) -> Client {
    Client::spawn(command.into()).await.unwrap()
}

async fn list(client: &Client) -> ToolAnswer {
    client.call_tool("list_datastores", Map::new()).await.unwrap()
}

#[tokio::test]
async fn a_credentials_file_that_was_rewritten_is_read_again() {
    let (rig, stub) = (Rig::new(), aws());
    write(&rig, "credentials", &keys("AKIDOLD"));
    let client = start(program(&rig, &stub, &["stdio"])).await;
    let refused = list(&client).await;
    assert!(refused.is_error, "{refused:?}");
    assert_eq!(refused.structured["type"], "auth_error");
    let message = refused.structured["message"].as_str().unwrap();
    assert!(message.contains(".aws/credentials, line 2"), "{message}");
    write(&rig, "credentials", &keys("AKIDNEW1"));
    assert!(!list(&client).await.is_error);
    // Without a failure before, and for DICOMweb too.
    write(&rig, "credentials", &keys("AKIDNEW22"));
    let arguments = json!({ "datastore_id": "0".repeat(32), "patient_id": "P" });
    let Value::Object(arguments) = arguments else { unreachable!() };
    let found = client.call_tool("get_patient_dicomweb_studies", arguments).await.unwrap();
    assert_eq!(found.structured["type"], "not_found", "{found:?}");
    assert!(!list(&client).await.is_error);
    let heads = stub.heads();
    assert!(heads.iter().any(|head| head.contains("/studies")), "DICOMweb was asked");
    let last = heads.iter().rev().take(2);
    assert!(last.into_iter().all(|head| head.contains("Credential=AKIDNEW22/")), "{heads:?}");
    client.close().await.unwrap();
}

#[tokio::test]
async fn a_credential_process_without_expiration_is_run_again_when_its_keys_have_expired() {
    let (rig, stub) = (Rig::new(), aws());
    let (script, output) = (rig.path("keys.sh"), rig.path("keys.json"));
    fs::write(&script, format!("cat {}\n", output.display())).unwrap();
    write(&rig, "config", &format!("[default]\ncredential_process = sh {}\n", script.display()));
    fs::write(&output, printed("AKIDOLD")).unwrap();
    let client = start(program(&rig, &stub, &["stdio"])).await;
    let refused = list(&client).await;
    let message = refused.structured["message"].as_str().unwrap_or_default();
    assert!(message.contains("credential_process of profile `default`"), "{refused:?}");
    fs::write(&output, printed("AKIDNEW")).unwrap();
    assert!(!list(&client).await.is_error);
    client.close().await.unwrap();

    // A process that has new keys at once saves the call itself.
    let again = format!("cat {0}\necho '{1}' > {0}\n", output.display(), printed("AKIDNEW"));
    fs::write(&script, again).unwrap();
    fs::write(&output, printed("AKIDOLD")).unwrap();
    let client = start(program(&rig, &stub, &["stdio"])).await;
    let found = list(&client).await;
    assert!(!found.is_error, "{found:?}");
    client.close().await.unwrap();
}

const SSO: &str = "[profile reader]\nsso_session = corp\nsso_account_id = 123456789012\nsso_role_name = Reader\n\
                   [profile role]\nrole_arn = arn:aws:iam::123456789012:role/x\nsource_profile = reader\n\
                   [sso-session corp]\nsso_region = us-east-1\nsso_start_url = https://example.awsapps.com/start\n";
/// The file of the session's token is named by the SHA-1 of `corp`.
const TOKEN_FILE: &str = "sso/cache/ee0bfd2552fbd840c02cc48b6e823320543c450f.json";

fn token(token: &str) -> String {
    json!({
        "accessToken": token, "expiresAt": "2099-01-01T00:00:00Z", "region": "us-east-1",
        "startUrl": "https://example.awsapps.com/start",
    })
    .to_string()
}

#[tokio::test]
async fn a_revoked_sso_session_names_its_login_and_the_next_session_is_used() {
    let (rig, stub) = (Rig::new(), aws());
    let sso = Stub::http(|head| {
        if head.contains("REVOKED") {
            let body = r#"{"message":"Session token not found or invalid"}"#;
            return answer(401, "x-amzn-ErrorType: UnauthorizedException\r\n", body);
        }
        let body = r#"{"roleCredentials":{"accessKeyId":"AKIDROLE","secretAccessKey":"s","sessionToken":"t",
                      "expiration":4070908800000}}"#;
        answer(200, "", body)
    });
    write(&rig, "config", SSO);
    write(&rig, TOKEN_FILE, &token("REVOKED"));
    let mut command = program(&rig, &stub, &["stdio"]);
    let endpoint = format!("http://127.0.0.1:{}", sso.port);
    command.env("AWS_ENDPOINT_URL_SSO", &endpoint).env("AWS_PROFILE", "reader");
    let client = start(command).await;
    for _ in 0..2 {
        let refused = list(&client).await;
        assert_eq!(refused.structured["type"], "auth_error", "{refused:?}");
        let message = refused.structured["message"].as_str().unwrap();
        assert!(message.contains("`aws sso login --profile reader`"), "{message}");
    }
    write(&rig, TOKEN_FILE, &token("FRESH"));
    let found = list(&client).await;
    assert!(!found.is_error, "{found:?}");
    client.close().await.unwrap();

    // The profile that signs in is named, at the end of the source profiles.
    write(&rig, TOKEN_FILE, &token("REVOKED"));
    let mut command = program(&rig, &stub, &["--profile", "role", "call", "list_datastores"]);
    let output = command.env("AWS_ENDPOINT_URL_SSO", &endpoint).output().unwrap();
    assert!(stdout(&output).contains("`aws sso login --profile reader`"), "{}", stdout(&output));
}

#[test]
fn a_profile_of_aws_login_asks_the_aws_cli_or_names_the_login() {
    let (rig, stub) = (Rig::new(), aws());
    write(&rig, "config", "[profile desk]\nlogin_session = arn:aws:iam::123456789012:user/Admin\n");
    let run = |path: &Path| {
        let mut command = program(&rig, &stub, &["--profile", "desk", "call", "list_datastores"]);
        command.env("PATH", path).output().unwrap()
    };
    // The CLI version 2, as far as it is asked.
    let cli = rig.path("bin/aws");
    fs::create_dir_all(rig.path("bin")).unwrap();
    let wanted = "configure export-credentials --profile desk --format process";
    let keys = printed("AKIDNEW");
    let script =
        format!("#!/bin/sh\nif [ \"$*\" = \"{wanted}\" ]; then echo '{keys}'; else exit 9; fi\n");
    fs::write(&cli, script).unwrap();
    fs::set_permissions(&cli, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", rig.path("bin").display());
    let signed_in = run(Path::new(&path));
    assert_eq!(signed_in.status.code(), Some(0), "{}", stdout(&signed_in));
    fs::write(&cli, "#!/bin/sh\necho 'Your session has expired' >&2\nexit 255\n").unwrap();
    let signed_out = run(Path::new(&path));
    let said = stdout(&signed_out);
    assert!(said.contains("`aws login --profile desk`") && said.contains("has expired"), "{said}");
}

#[test]
fn a_profile_that_is_named_comes_before_keys_in_the_environment() {
    let (rig, stub) = (Rig::new(), aws());
    let named = "[imaging]\naws_access_key_id = AKIDNAMED\naws_secret_access_key = secret\n";
    write(&rig, "credentials", named);
    let run = |words: &[&str], profile: &str| {
        let mut command = program(&rig, &stub, words);
        command.env("AWS_ACCESS_KEY_ID", "AKIDENV").env("AWS_SECRET_ACCESS_KEY", "secret");
        command.env("AWS_PROFILE", profile).output().unwrap()
    };
    let output = run(&["--profile", "imaging", "call", "list_datastores"], "imaging");
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
    // As with the AWS CLI, AWS_PROFILE does not.
    let output = run(&["call", "list_datastores"], "imaging");
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
    let heads = stub.heads();
    assert!(heads[0].contains("Credential=AKIDNAMED/"), "{}", heads[0]);
    assert!(heads[1].contains("Credential=AKIDENV/"), "{}", heads[1]);
    let output = run(&["call", "list_datastores"], "imagine");
    assert!(stderr(&output).contains("there is no profile `imagine`"), "{}", stderr(&output));
}

/// What the program says with these shared files and variables.
fn report(config: &str, credentials: &str, variables: &[(&str, &str)]) -> String {
    let (rig, stub) = (Rig::new(), aws());
    write(&rig, "config", config);
    write(&rig, "credentials", credentials);
    let mut command = program(&rig, &stub, &["call", "list_datastores"]);
    let output = command.envs(variables.iter().copied()).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", stdout(&output));
    assert_eq!(stub.heads().len(), 0, "nothing was sent");
    let text = stdout(&output) + &stderr(&output);
    assert!(!text.contains("AKIDSECRET"), "{text}");
    text.replace(rig.folder.path().to_str().unwrap(), "~")
}

#[test]
fn what_is_wrong_in_the_shared_files_is_named_with_file_and_line() {
    let role = "role_arn = arn:aws:iam::123456789012:role/x\n";
    let web = format!("[default]\n{role}web_identity_token_file = /nowhere/token\n");
    let circle = format!(
        "[default]\n{role}source_profile = a\n[profile a]\n{role}source_profile = default\n"
    );
    let cases = [
        ("[default]\nregion us-east-1\n", "", "~/.aws/config on line 2"),
        ("region = us-east-1\n", "", "~/.aws/config on line 1"),
        ("", "[default]\n[oops\n", "~/.aws/credentials on line 2"),
        (
            &*format!("[default]\n{role}source_profile = base\n"),
            "",
            "~/.aws/config, line 3: there is no profile `base`",
        ),
        (
            &*format!("[default]\n{role}source_profile = base\n[profile base]\nregion = x\n"),
            "",
            "~/.aws/config, line 3: the profile `base` has no credentials",
        ),
        (
            &circle,
            "",
            "~/.aws/config, line 6: the source profiles form a circle: default → a → default",
        ),
        (
            &*format!("[default]\n{role}"),
            "",
            "~/.aws/config, line 2: role_arn requires source_profile",
        ),
        (
            "",
            "[default]\naws_access_key_id = AKIDSECRET\n",
            "~/.aws/credentials, line 2: aws_access_key_id requires aws_secret_access_key",
        ),
        (
            "[default]\n\n# mine\naws_secret_access_key = AKIDSECRET",
            "",
            "~/.aws/config, line 4: aws_secret_access_key requires aws_access_key_id",
        ),
        (&web, "", "~/.aws/config, line 3: the token file /nowhere/token cannot be read"),
        (
            "[default]\nsso_session = corp\nsso_account_id = 1\nsso_role_name = r\n",
            "",
            "~/.aws/config, line 2: there is no section [sso-session corp]",
        ),
    ];
    for (config, credentials, says) in cases {
        let text = report(config, credentials, &[]);
        assert!(text.contains(says), "{says}: {text}");
    }
}

#[test]
fn what_is_wrong_in_the_environment_is_named() {
    let text = report("", "", &[("AWS_ACCESS_KEY_ID", "AKIDSECRET")]);
    assert!(text.contains("AWS_ACCESS_KEY_ID is set and AWS_SECRET_ACCESS_KEY is not"), "{text}");
    let text = report("", "", &[("AWS_SECRET_ACCESS_KEY", "AKIDSECRET")]);
    assert!(text.contains("AWS_SECRET_ACCESS_KEY is set and AWS_ACCESS_KEY_ID is not"), "{text}");
    let file = [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", "/nowhere/token"),
        ("AWS_ROLE_ARN", "arn:aws:iam::1:role/x"),
    ];
    let text = report("", "", &file);
    assert!(text.contains("AWS_WEB_IDENTITY_TOKEN_FILE: the token file /nowhere/token"), "{text}");
    let text = report("", "", &[("AWS_WEB_IDENTITY_TOKEN_FILE", "/nowhere/token")]);
    assert!(text.contains("AWS_ROLE_ARN is not"), "{text}");
    let text = report("[imaging]\nregion = us-east-1\n", "", &[("AWS_PROFILE", "imaging")]);
    assert!(text.contains("~/.aws/config, line 1: [imaging] must be [profile imaging]"), "{text}");
    let text = report("", "", &[("AWS_PROFILE", "imaging")]);
    assert!(text.contains("there is no profile `imaging`"), "{text}");
}

#[test]
fn the_endpoints_of_a_services_section_are_used() {
    let (rig, stub) = (Rig::new(), aws());
    write(&rig, "credentials", &keys("AKIDNEW"));
    let url = format!("http://127.0.0.1:{}", stub.port);
    let config = format!(
        "[default]\nservices = here\nendpoint_url = http://127.0.0.1:1\n[services here]\n\
         medical_imaging =\n  endpoint_url = {url}\ns3 =\n  endpoint_url = http://127.0.0.1:2\n"
    );
    write(&rig, "config", &config);
    let run = |words: &[&str]| {
        let mut command = program(&rig, &stub, words);
        command.env_remove("AWS_ENDPOINT_URL_MEDICAL_IMAGING").output().unwrap()
    };
    let output = run(&["call", "list_datastores"]);
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
    assert_eq!(stub.heads().len(), 1);
    let doctor = stdout(&run(&["doctor"]));
    assert!(doctor.contains(&format!("endpoint      {url}")), "{doctor}");
    assert!(doctor.contains("s3://         endpoint http://127.0.0.1:2"), "{doctor}");
}
