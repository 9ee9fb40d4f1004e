//! Who calls, as AWS sees it.

use healthimaging::Result;

use crate::client::Aws;

/// The caller, told by STS `GetCallerIdentity`, which needs no permission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The account, 12 digits.
    pub account: String,
    /// ARN of the user or of the assumed role.
    pub arn: String,
}

impl Aws {
    /// Asks AWS whose credentials these are.
    pub async fn identity(&self) -> Result<Identity> {
        let found = aws_sdk_sts::Client::new(&self.sdk)
            .get_caller_identity()
            .send()
            .await
            .map_err(|error| self.failed(error))?;
        Ok(Identity {
            account: found.account.unwrap_or_default(),
            arn: found.arn.unwrap_or_default(),
        })
    }
}
