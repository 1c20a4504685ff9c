//! Making, finding, listing, tagging, emptying and deleting queues.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::{no_members, no_output};
use crate::local::error::SqsError;
use crate::local::input::{Administration, Pairs, read, required};
use crate::local::message::Millis;
use crate::local::reply::ReplyWriter;
use crate::local::service::{Caller, SIXTY_SECONDS, Service};
use crate::local::settings::QueueSettings;

const MAX_TAGS: usize = 50;

impl Service {
    pub(super) fn create_queue(&mut self, caller: &Caller<'_>, body: &[u8], now: Millis) -> Result<Vec<u8>, SqsError> {
        let input: Administration<'_> = read(body)?;
        let name = required(&input.queue_name, "QueueName")?;
        let (no_attributes, no_tags) = (Pairs::default(), Pairs::default());
        let attributes = input.attributes.as_ref().unwrap_or(&no_attributes);
        let tags = input.tags.as_ref().unwrap_or(&no_tags);
        let url = self.create(caller, name, attributes, tags, now)?;
        Ok(url_reply(&url))
    }

    /// Makes the queue, or finds it when it is there already with the same attributes. Its URL.
    pub(crate) fn create(
        &mut self,
        caller: &Caller<'_>,
        name: &str,
        attributes: &Pairs<'_>,
        tags: &Pairs<'_>,
        now: Millis,
    ) -> Result<String, SqsError> {
        let defaults = defaults_for(name, attributes)?;
        let settings = defaults.with(attributes)?;
        check_tags(name, tags, 0)?;
        if let Ok(existing) = self.find_by_name(caller.account, caller.region, name) {
            return match settings.first_difference(&existing.settings, attributes) {
                Some(attribute) => Err(SqsError::queue_name_exists(&format!("attribute {attribute}"))),
                None => match tags.iter().find(|(key, value)| existing.tags.get(*key).is_none_or(|tag| tag != value)) {
                    Some((key, _)) => Err(SqsError::queue_name_exists(&format!("tag {key}"))),
                    None => Ok(self.queue_url(caller, existing)),
                },
            };
        }
        let realm = self.realm(caller.account, caller.region);
        let deleted_at = realm.and_then(|realm| realm.deleted.get(name).copied());
        if self.sixty_second_rules && deleted_at.is_some_and(|deleted_at| now < deleted_at + SIXTY_SECONDS) {
            return Err(SqsError::queue_deleted_recently());
        }
        let arn = crate::local::service::arn(caller.region, caller.account, name);
        self.check_redrive_of(&settings, &arn)?;
        let queue = self.add_queue(caller, name, settings, now);
        queue.tags.extend(tags.iter().map(|(key, value)| (key.to_owned(), value.to_owned())));
        let id = queue.id;
        Ok(self.queue_url(caller, self.queue(id)?))
    }

    pub(super) fn delete_queue(&mut self, caller: &Caller<'_>, body: &[u8], now: Millis) -> Result<Vec<u8>, SqsError> {
        let input: Administration<'_> = read(body)?;
        let id = self.find_by_url(input.queue_url.as_deref(), caller)?;
        self.remove_queue(id, now);
        Ok(no_output())
    }

    pub(super) fn purge_queue(&mut self, caller: &Caller<'_>, body: &[u8], now: Millis) -> Result<Vec<u8>, SqsError> {
        let input: Administration<'_> = read(body)?;
        let id = self.find_by_url(input.queue_url.as_deref(), caller)?;
        let strict = self.sixty_second_rules;
        let queue = self.queue_mut(id)?;
        if strict && queue.purged_at.is_some_and(|purged_at| now < purged_at + SIXTY_SECONDS) {
            return Err(SqsError::purge_in_progress(&queue.name));
        }
        queue.purge(now);
        self.touched.push(id);
        Ok(no_output())
    }

    pub(super) fn get_queue_url(&mut self, caller: &Caller<'_>, body: &[u8]) -> Result<Vec<u8>, SqsError> {
        let input: Administration<'_> = read(body)?;
        let name = required(&input.queue_name, "QueueName")?;
        let account = input.queue_owner.as_deref().unwrap_or(caller.account);
        let queue = self.find_by_name(account, caller.region, name)?;
        Ok(url_reply(&self.queue_url(caller, queue)))
    }

    pub(super) fn list_queues(&mut self, caller: &Caller<'_>, body: &[u8]) -> Result<Vec<u8>, SqsError> {
        let input: Administration<'_> = read(body)?;
        let prefix = input.queue_name_prefix.as_deref().unwrap_or_default();
        let page = Page::of(&input)?;
        let realm = self.realm(caller.account, caller.region);
        let names: Vec<String> = realm
            .into_iter()
            .flat_map(|realm| realm.names_from(prefix, page.after.as_deref()))
            .take(page.size + 1)
            .map(|(name, _)| name.to_string())
            .collect();
        let urls = names.iter().map(|name| caller.queue_url(caller.account, name));
        Ok(page.reply("QueueUrls", urls.collect(), &names))
    }

    pub(super) fn list_dead_letter_source_queues(
        &mut self,
        caller: &Caller<'_>,
        body: &[u8],
    ) -> Result<Vec<u8>, SqsError> {
        let input: Administration<'_> = read(body)?;
        let id = self.find_by_url(input.queue_url.as_deref(), caller)?;
        let page = Page::of(&input)?;
        let arn = self.queue(id)?.arn.clone();
        let mut urls: Vec<String> =
            self.sources_of(&arn).into_iter().map(|queue| self.queue_url(caller, queue)).collect();
        urls.sort_unstable();
        urls.retain(|url| page.after.as_ref().is_none_or(|after| url > after));
        urls.truncate(page.size + 1);
        let names = urls.clone();
        // The reply of this action alone spells its list in lower case; absent it is not.
        Ok(page.reply("queueUrls", urls, &names))
    }

    pub(super) fn tag_queue(&mut self, caller: &Caller<'_>, body: &[u8]) -> Result<Vec<u8>, SqsError> {
        let input: Administration<'_> = read(body)?;
        let id = self.find_by_url(input.queue_url.as_deref(), caller)?;
        let tags = required(&input.tags, "Tags")?;
        if tags.0.is_empty() {
            return Err(SqsError::missing("Tags"));
        }
        let queue = self.queue_mut(id)?;
        let others = queue.tags.keys().filter(|key| tags.get(key).is_none()).count();
        check_tags(&queue.name, tags, others)?;
        queue.tags.extend(tags.iter().map(|(key, value)| (key.to_owned(), value.to_owned())));
        Ok(no_output())
    }

    pub(super) fn untag_queue(&mut self, caller: &Caller<'_>, body: &[u8]) -> Result<Vec<u8>, SqsError> {
        let input: Administration<'_> = read(body)?;
        let id = self.find_by_url(input.queue_url.as_deref(), caller)?;
        let keys = required(&input.tag_keys, "TagKeys")?;
        let queue = self.queue_mut(id)?;
        if keys.is_empty() {
            return Err(SqsError::invalid_parameter("Tag keys must be between 1 and 128 characters in length."));
        }
        for key in keys.iter() {
            queue.tags.remove(&**key);
        }
        Ok(no_output())
    }

    pub(super) fn list_queue_tags(&mut self, caller: &Caller<'_>, body: &[u8]) -> Result<Vec<u8>, SqsError> {
        let input: Administration<'_> = read(body)?;
        let id = self.find_by_url(input.queue_url.as_deref(), caller)?;
        let queue = self.queue(id)?;
        if queue.tags.is_empty() {
            return Ok(no_members());
        }
        let mut reply = ReplyWriter::object(256);
        reply.key("Tags").open(b'{');
        for (key, value) in &queue.tags {
            reply.text_key(key).text(value);
        }
        reply.close(b'}');
        Ok(reply.finish())
    }
}

fn url_reply(url: &str) -> Vec<u8> {
    let mut reply = ReplyWriter::object(128);
    reply.key("QueueUrl").text(url);
    reply.finish()
}

/// The settings that a queue of this name and type begins with.
fn defaults_for(name: &str, attributes: &Pairs<'_>) -> Result<QueueSettings, SqsError> {
    let fifo = match attributes.get("FifoQueue") {
        None => false,
        Some(value) if value.eq_ignore_ascii_case("true") => true,
        Some(value) if value.eq_ignore_ascii_case("false") => {
            return Err(SqsError::unknown_attribute("FifoQueue"));
        }
        Some(_) => return Err(SqsError::invalid_attribute_value("Invalid value for the parameter FifoQueue.")),
    };
    let stem = if fifo { name.strip_suffix(".fifo") } else { Some(name) };
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let good = stem.is_some_and(|stem| !stem.is_empty() && stem.bytes().all(allowed)) && name.len() <= 80;
    match (good, fifo) {
        (true, true) => Ok(QueueSettings::fifo()),
        (true, false) => Ok(QueueSettings::standard()),
        (false, true) => Err(SqsError::invalid_parameter(
            "The name of a FIFO queue can only include alphanumeric characters, hyphens, or underscores, must end with \
             .fifo suffix and be 1 to 80 in length.",
        )),
        (false, false) => Err(SqsError::invalid_parameter(
            "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length",
        )),
    }
}

fn check_tags(name: &str, tags: &Pairs<'_>, others: usize) -> Result<(), SqsError> {
    for (key, value) in tags.iter() {
        if !(1..=128).contains(&key.chars().count()) {
            return Err(SqsError::invalid_parameter("Tag keys must be between 1 and 128 characters in length."));
        }
        if value.chars().count() > 256 {
            return Err(SqsError::invalid_parameter("Tag values must be at most 256 characters in length."));
        }
        if !key.chars().all(of_tag_keys) {
            return Err(SqsError::invalid_parameter(
                "Tag keys can only include Unicode letters, digits, white space and the characters _ . : / = + - @",
            ));
        }
        if key.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("aws:")) {
            return Err(SqsError::invalid_parameter("Tag keys beginning with aws: are reserved."));
        }
    }
    if tags.0.len() + others > MAX_TAGS {
        return Err(SqsError::invalid_parameter(format!("Too many tags added for queue {name}.")));
    }
    Ok(())
}

/// What keys of tags are made of, as the guide on tagging has it.
fn of_tag_keys(character: char) -> bool {
    character.is_alphanumeric() || character.is_whitespace() || "_.:/=+-@".contains(character)
}

/// One page of a listing. The token of the next one is the last name of this one, so that it stays right when queues
/// come and go in between.
struct Page {
    after: Option<String>,
    size: usize,
    /// A caller that gave no MaxResults gets up to 1,000 results and no token.
    paged: bool,
}

impl Page {
    fn of(input: &Administration<'_>) -> Result<Page, SqsError> {
        let size = match input.max_results {
            None => 1_000,
            Some(size @ 1..=1_000) => size as usize,
            Some(size) => {
                return Err(SqsError::invalid_value(
                    size,
                    "MaxResults",
                    "MaxResults must be an integer between 1 and 1000.",
                ));
            }
        };
        let decode = |token: &str| String::from_utf8(BASE64_STANDARD.decode(token).ok()?).ok();
        let after = match input.next_token.as_deref().filter(|token| !token.is_empty()) {
            None => None,
            Some(_) if input.max_results.is_none() => {
                return Err(SqsError::missing("MaxResults"));
            }
            Some(token) => {
                Some(decode(token).ok_or_else(|| SqsError::invalid_parameter("Invalid or expired next token."))?)
            }
        };
        Ok(Page { after, size, paged: input.max_results.is_some() })
    }

    /// Writes up to `size` of `results`; one more than that says that there is a next page. `names` are what tokens
    /// are made of.
    fn reply(&self, list: &'static str, results: Vec<String>, names: &[String]) -> Vec<u8> {
        let mut reply = ReplyWriter::object(64 + results.len() * 64);
        if !results.is_empty() || list == "queueUrls" {
            reply.key(list).open(b'[');
            for result in results.iter().take(self.size) {
                reply.text(result);
            }
            reply.close(b']');
        }
        if self.paged
            && results.len() > self.size
            && let Some(last) = names.get(self.size - 1)
        {
            reply.key("NextToken").text(&BASE64_STANDARD.encode(last));
        }
        reply.finish()
    }
}
