// Requests to the server that the page came from: SQS's own actions, and what the console is shown besides them.

// The page's address without its fragment: for `turbosqs console` it holds the token.
const BASE = location.href.replace(/[#?].*$/, "");

// Whose queues are shown; the server takes them from where a signature would name them.
let realm = null;

export function chooseRealm(account, region) {
  realm = { account, region };
}

export class SqsError extends Error {
  constructor(code, message, status) {
    super(message);
    this.code = code;
    this.status = status;
  }
}

// The server cannot be reached.
export class Unreachable extends Error {}

function headers() {
  if (!realm) return {};
  const scope = `${realm.account}/20260101/${realm.region}/sqs/aws4_request`;
  return { Authorization: `AWS4-HMAC-SHA256 Credential=${scope}, SignedHeaders=host, Signature=none` };
}

async function ask(path, options) {
  let response;
  let text;
  try {
    response = await fetch(BASE + path, { cache: "no-store", redirect: "error", ...options });
    text = await response.text();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Unreachable("The server does not answer.");
  }
  const reply = text ? JSON.parse(text) : {};
  if (response.ok) return reply;
  const query = (response.headers.get("x-amzn-query-error") || "").split(";")[0];
  const code = query || (reply.__type || "").split("#").pop() || String(response.status);
  throw new SqsError(code, reply.message || response.statusText, response.status);
}

// An action of SQS. At `path` ReceiveMessage may be asked to look without receiving.
export function call(action, input, { signal, path = "" } = {}) {
  return ask(path, {
    method: "POST",
    signal,
    headers: { "Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": `AmazonSQS.${action}`, ...headers() },
    body: JSON.stringify(input),
  });
}

export function overview(search, offset, limit, only) {
  const query = new URLSearchParams({ search, offset, limit, ...(only ? { only } : {}) });
  return ask(`_turbosqs/overview?${query}`, { headers: headers() });
}

// Queue URLs may name a host by which other clients reach the server; only their end matters.
export const nameOf = (url) => url.split("/").pop();
