//! Back ends that let some operations through to another one, and refuse the others.

/// Writes one line for each operation of a trait: those that pass go through, those that are refused answer with
/// `refusal()`.
macro_rules! gate {
    (
        $gate:ident: $trait:ident;
        passes { $($pass:ident: $pass_in:ty => $pass_out:ty),* $(,)? }
        refuses { $($refuse:ident: $refuse_in:ty => $refuse_out:ty),* $(,)? }
        $($rest:item)*
    ) => {
        #[async_trait]
        impl<T: $trait + ?Sized> $trait for $gate<T> {
            $($rest)*
            $(async fn $pass(&self, request: $pass_in) -> Result<$pass_out> {
                self.0.$pass(request).await
            })*
            $(async fn $refuse(&self, _: $refuse_in) -> Result<$refuse_out> {
                refusal()
            })*
        }
    };
}
pub(crate) use gate;
