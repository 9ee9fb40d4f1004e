//! The whole of a table is a resource that can be read.

use healthimaging::model::DatastoreStatus;
use healthimaging_testing::Fake;
use healthimaging_tools::Confirm;
use rmcp::model::{ContentBlock, ReadResourceRequestParams, ResourceContents};
use serde_json::json;

use crate::protocol::{Era, TestClient, User, connect, request};

#[tokio::test]
async fn the_whole_table_is_read_as_csv() {
    let fake = Fake::default();
    let store = fake.add_datastore("a", DatastoreStatus::Active);
    for number in 0..3 {
        fake.add_image_set(&store, &format!("s{number}"), 1);
    }
    fake.state().image_sets[0].document["Patient"]["DICOM"]["PatientName"] = json!("A,\"B\"");
    let client =
        connect(&fake, Confirm::Auto, Era::New, TestClient::new(User::CannotBeAsked)).await;
    let asked = json!({
        "attributes": ["PatientName"], "include_non_primary": true, "max_rows": 1
    });
    let result = client.call_tool(request("tabulate_attributes", asked)).await.unwrap();
    let found = result.structured_content.unwrap();
    assert_eq!((&found["rows_total"], &found["rows_left_out"]), (&json!(3), &json!(2)), "{found}");
    let link = result.content.iter().find_map(|block| match block {
        ContentBlock::ResourceLink(link) => Some(link.clone()),
        _ => None,
    });
    let uri = link.unwrap().uri.clone();
    let read = client.read_resource(ReadResourceRequestParams::new(uri)).await.unwrap();
    let ResourceContents::TextResourceContents { text, mime_type, .. } = &read.contents[0] else {
        panic!("no text");
    };
    assert_eq!(mime_type.as_deref(), Some("text/csv"));
    assert_eq!(text.lines().count(), 4);
    assert_eq!(text.lines().next(), Some("image_set_id,PatientName"));
    assert!(text.contains(",\"A,\"\"B\"\"\"\r\n"), "{text}");
    for wrong in
        ["healthimaging://tables/", "healthimaging://tables/e30", "healthimaging://tables/!"]
    {
        client.read_resource(ReadResourceRequestParams::new(wrong)).await.unwrap_err();
    }
}
