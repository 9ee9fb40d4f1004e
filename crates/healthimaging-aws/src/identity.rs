//! The identity of the credentials.

use healthimaging::Result;

use crate::client::Aws;

/// Caller identity of STS `GetCallerIdentity`, which requires no permission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The account, 12 digits.
    pub account: String,
    /// ARN of the user or of the assumed role.
    pub arn: String,
}

impl Aws {
    /// Returns the identity of the credentials.
    pub async fn identity(&self) -> Result<Identity> {
        let call = aws_sdk_sts::Client::new(&self.sdk).get_caller_identity().send();
        let found = self.response(call).await?;
        Ok(Identity {
            account: found.account.unwrap_or_default(),
            arn: found.arn.unwrap_or_default(),
        })
    }
}
