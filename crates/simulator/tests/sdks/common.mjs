// What the SDKs' trials share: the simulator's address, its scripts, and the list of what was seen.
import assert from "node:assert/strict";

export const BASE = process.argv[2];
export const KEY = "test-key";
let number = 0;

/** A word for a prompt, so that a script strikes this call alone. */
export const marker = () => `mk-sdk${++number}`;

/** The simulator does this to every call with the marker. */
export async function strike(mark, kind, stage = "submit") {
  const body = JSON.stringify({ marker: mark, faults: [{ kind, stage, times: 0 }] });
  const answer = await fetch(`${BASE}/_script`, { method: "POST", body });
  assert.ok(answer.ok, await answer.text());
}

/** A line for whoever counts. */
export const saw = (what) => console.log(`saw ${what}`);

/** The call fails with exactly this class, or with an error that passes the check. */
export async function refused(what, call, fits) {
  const error = await call().then(
    (answer) => assert.fail(`${what} was not refused: ${JSON.stringify(answer)}`),
    (raised) => raised,
  );
  assert.ok(fits(error), `${what}: ${error?.constructor?.name}: ${error?.message}`);
  saw(`${what}: ${error.constructor.name}`);
}

export const isPng = (bytes) => assert.equal(Buffer.from(bytes).subarray(1, 4).toString(), "PNG");
export const isMp4 = (bytes) => assert.equal(Buffer.from(bytes).subarray(4, 8).toString(), "ftyp");
export const isWav = (bytes) => assert.equal(Buffer.from(bytes).subarray(0, 4).toString(), "RIFF");
