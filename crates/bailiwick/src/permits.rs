//! For each kind of effect: with a permit it compiles, without one it does not. Each pair differs
//! in nothing but the permit, so what fails is the lack of it.
//!
//! No crate offers a way round: [`Permit`](bailiwick_warden::Permit) has no public constructor.
//!
//! ```compile_fail
//! use bailiwick_model::action::ToolCall;
//! use bailiwick_warden::Permit;
//! fn forge_one(id: bailiwick_model::id::ActionId, action: ToolCall) -> Permit<ToolCall> {
//!     Permit { id, action, tier: None }
//! }
//! ```
//!
//! ```compile_fail
//! use bailiwick_model::action::ToolCall;
//! use bailiwick_warden::Permit;
//! fn forge_one(id: bailiwick_model::id::ActionId, action: ToolCall) -> Permit<ToolCall> {
//!     Permit::new(id, action, None)
//! }
//! ```
//!
//! A permit is spent once, and only on what it is for.
//!
//! ```
//! use bailiwick_model::action::Command;
//! use bailiwick_sandbox::Sandbox;
//! use bailiwick_warden::Permit;
//! async fn once(sandbox: &dyn Sandbox, permit: Permit<Command>) {
//!     drop(sandbox.run(permit).await);
//! }
//! ```
//! ```compile_fail
//! use bailiwick_model::action::Command;
//! use bailiwick_sandbox::Sandbox;
//! use bailiwick_warden::Permit;
//! async fn twice(sandbox: &dyn Sandbox, permit: Permit<Command>) {
//!     drop(sandbox.run(permit).await);
//!     drop(sandbox.run(permit).await);
//! }
//! ```
//! ```compile_fail
//! use bailiwick_model::action::FileRead;
//! use bailiwick_sandbox::Sandbox;
//! use bailiwick_warden::Permit;
//! async fn another(sandbox: &dyn Sandbox, permit: Permit<FileRead>) {
//!     drop(sandbox.run(permit).await);
//! }
//! ```
//! ```compile_fail
//! use bailiwick_model::action::Command;
//! use bailiwick_sandbox::Sandbox;
//! async fn command(sandbox: &dyn Sandbox, action: Command) {
//!     drop(sandbox.run(action).await);
//! }
//! ```
//!
//! Reading and writing files.
//!
//! ```
//! use bailiwick_model::action::{FileRead, FileWrite};
//! use bailiwick_sandbox::Sandbox;
//! use bailiwick_warden::Permit;
//! async fn files(sandbox: &dyn Sandbox, read: Permit<FileRead>, write: Permit<FileWrite>) {
//!     drop(sandbox.read(read).await);
//!     drop(sandbox.write(write).await);
//! }
//! ```
//! ```compile_fail
//! use bailiwick_model::action::FileRead;
//! use bailiwick_sandbox::Sandbox;
//! async fn read(sandbox: &dyn Sandbox, read: FileRead) {
//!     drop(sandbox.read(read).await);
//! }
//! ```
//! ```compile_fail
//! use bailiwick_model::action::FileWrite;
//! use bailiwick_sandbox::Sandbox;
//! async fn write(sandbox: &dyn Sandbox, write: FileWrite) {
//!     drop(sandbox.write(write).await);
//! }
//! ```
//!
//! The forge: importing, checking out, signing, pushing, opening, reviewing, merging.
//!
//! ```
//! use bailiwick_forge::{EmbeddedForge, Forge, NewChangeCommit, RebaseRequest};
//! use bailiwick_model::action::*;
//! use bailiwick_warden::Permit;
//! use std::path::PathBuf;
//! async fn import(forge: &EmbeddedForge, permit: Permit<RepoRead>) { drop(forge.import(permit).await); }
//! async fn checkout(forge: &EmbeddedForge, permit: Permit<RepoRead>) {
//!     drop(forge.checkout(permit, PathBuf::new(), PathBuf::new()).await);
//! }
//! async fn commit(forge: &EmbeddedForge, permit: Permit<SecretUse>, new: NewChangeCommit) {
//!     drop(forge.commit(permit, new).await);
//! }
//! async fn rebase(forge: &EmbeddedForge, permit: Permit<SecretUse>, request: RebaseRequest) {
//!     drop(forge.rebase(permit, request).await);
//! }
//! async fn push(forge: &EmbeddedForge, permit: Permit<BranchPush>) { drop(forge.push(permit).await); }
//! async fn open(forge: &EmbeddedForge, permit: Permit<PullRequestOpen>) {
//!     drop(forge.open_pull_request(permit).await);
//! }
//! async fn review(forge: &EmbeddedForge, permit: Permit<ReviewSubmit>) {
//!     drop(forge.submit_review(permit).await);
//! }
//! async fn merge(forge: &EmbeddedForge, permit: Permit<PullRequestMerge>) { drop(forge.merge(permit).await); }
//! ```
//! ```compile_fail
//! use bailiwick_forge::{EmbeddedForge, Forge};
//! async fn import(forge: &EmbeddedForge, read: bailiwick_model::action::RepoRead) { drop(forge.import(read).await); }
//! ```
//! ```compile_fail
//! use bailiwick_forge::EmbeddedForge;
//! use std::path::PathBuf;
//! async fn checkout(forge: &EmbeddedForge, read: bailiwick_model::action::RepoRead) {
//!     drop(forge.checkout(read, PathBuf::new(), PathBuf::new()).await);
//! }
//! ```
//! ```compile_fail
//! use bailiwick_forge::{EmbeddedForge, NewChangeCommit};
//! async fn commit(forge: &EmbeddedForge, new: NewChangeCommit) { drop(forge.commit(new.signing(), new).await); }
//! ```
//! ```compile_fail
//! use bailiwick_forge::{EmbeddedForge, RebaseRequest};
//! async fn rebase(forge: &EmbeddedForge, request: RebaseRequest) {
//!     drop(forge.rebase(request.signing(), request).await);
//! }
//! ```
//! ```compile_fail
//! use bailiwick_forge::{EmbeddedForge, Forge};
//! async fn push(forge: &EmbeddedForge, push: bailiwick_model::action::BranchPush) { drop(forge.push(push).await); }
//! ```
//! ```compile_fail
//! use bailiwick_forge::{EmbeddedForge, Forge};
//! async fn open(forge: &EmbeddedForge, open: bailiwick_model::action::PullRequestOpen) {
//!     drop(forge.open_pull_request(open).await);
//! }
//! ```
//! ```compile_fail
//! use bailiwick_forge::{EmbeddedForge, Forge};
//! async fn review(forge: &EmbeddedForge, review: bailiwick_model::action::ReviewSubmit) {
//!     drop(forge.submit_review(review).await);
//! }
//! ```
//! ```compile_fail
//! use bailiwick_forge::{EmbeddedForge, Forge};
//! async fn merge(forge: &EmbeddedForge, merge: bailiwick_model::action::PullRequestMerge) {
//!     drop(forge.merge(merge).await);
//! }
//! ```
//!
//! Nor can whoever holds the forge's handle on a repository move a branch with it.
//!
//! ```
//! use bailiwick_forge::EmbeddedForge;
//! use bailiwick_model::id::{Oid, RepoName};
//! fn read(forge: &EmbeddedForge, repo: &RepoName, commit: &Oid) {
//!     drop(forge.git(repo).map(|git| git.tree_of(commit)));
//! }
//! ```
//! ```compile_fail
//! use bailiwick_forge::EmbeddedForge;
//! use bailiwick_git::RefName;
//! use bailiwick_model::id::{Oid, RepoName};
//! fn r#move(forge: &EmbeddedForge, repo: &RepoName, name: &RefName, commit: &Oid) {
//!     drop(forge.git(repo).map(|git| git.update_ref(name, None, Some(commit))));
//! }
//! ```
//!
//! Models.
//!
//! ```
//! use bailiwick_gateway::Gateway;
//! use bailiwick_model::action::ModelCall;
//! use bailiwick_warden::Permit;
//! async fn call(gateway: &Gateway, permit: Permit<ModelCall>) { drop(gateway.call(permit, None).await); }
//! ```
//! ```compile_fail
//! use bailiwick_gateway::Gateway;
//! async fn call(gateway: &Gateway, call: bailiwick_model::action::ModelCall) { drop(gateway.call(call, None).await); }
//! ```
//!
//! Requests to hosts.
//!
//! ```
//! use bailiwick_gateway::HostClient;
//! use bailiwick_model::action::HostRequest;
//! use bailiwick_warden::Permit;
//! async fn get(client: &HostClient, permit: Permit<HostRequest>) { drop(client.get(permit).await); }
//! ```
//! ```compile_fail
//! use bailiwick_gateway::HostClient;
//! async fn get(client: &HostClient, request: bailiwick_model::action::HostRequest) { drop(client.get(request).await); }
//! ```
//!
//! Credentials of providers.
//!
//! ```
//! use bailiwick_gateway::{Gateway, KeyGrant};
//! use bailiwick_model::action::SecretUse;
//! use bailiwick_warden::Permit;
//! async fn unlock(gateway: &Gateway, permit: Permit<SecretUse>) -> Option<KeyGrant> { gateway.unlock(permit).ok() }
//! ```
//! ```compile_fail
//! use bailiwick_gateway::{Gateway, KeyGrant};
//! async fn unlock(gateway: &Gateway, used: bailiwick_model::action::SecretUse) -> Option<KeyGrant> {
//!     gateway.unlock(used).ok()
//! }
//! ```
