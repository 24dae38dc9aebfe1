/** What the page asks of the server, for a program of one's own. */

/** @param {string} url @param {object} body @param {boolean} needsKey */
export function asCurl(url, body, needsKey) {
  const key = needsKey ? [`  -H "Authorization: Bearer $LIBA_KEY"`] : [];
  const parts = [`curl ${quoted(url)}`, ...key, "  -H 'Content-Type: application/json'", `  -d ${quoted(JSON.stringify(body))}`];
  return parts.join(" \\\n");
}

/** @param {string} url @param {object} body @param {boolean} needsKey */
export function asPython(url, body, needsKey) {
  const members = Object.entries(body).map(([name, value]) => `${JSON.stringify(name)}: ${JSON.stringify(value)}`);
  const key = needsKey ? [`    headers={"Authorization": f"Bearer {os.environ['LIBA_KEY']}"},`] : [];
  return [
    ...(needsKey ? ["import os", ""] : []),
    "import httpx",
    "",
    "answer = httpx.post(",
    `    ${JSON.stringify(url)},`,
    ...key,
    `    json={${members.join(", ")}},`,
    ")",
    "print(answer.raise_for_status().json())",
  ].join("\n");
}

/** For a shell. @param {string} text */
const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
