// The `openai` package for JavaScript against the simulator.
import assert from "node:assert/strict";
import OpenAI, { toFile } from "openai";
import { BASE, KEY, isMp4, isPng, isWav, marker, refused, saw, strike } from "./common.mjs";

const of = (apiKey) => new OpenAI({ baseURL: `${BASE}/openai/v1`, apiKey, maxRetries: 0, timeout: 20_000 });
const client = of(KEY);

const picture = await client.images.generate({ model: "gpt-image-2", prompt: "a kite", size: "1024x1024" });
isPng(Buffer.from(picture.data[0].b64_json, "base64"));
saw("image");
const file = await toFile(Buffer.from(picture.data[0].b64_json, "base64"), "kite.png", { type: "image/png" });
const edited = await client.images.edit({ model: "gpt-image-2", prompt: "a red kite", image: file });
isPng(Buffer.from(edited.data[0].b64_json, "base64"));
saw("edit");
const speech = await client.audio.speech.create({
  model: "gpt-4o-mini-tts", voice: "alloy", input: "Hello.", response_format: "wav",
});
isWav(await speech.arrayBuffer());
saw("speech");
let video = await client.videos.create({ model: "sora-2", prompt: "a kite over a lake", seconds: "4", size: "1280x720" });
for (let polls = 0; polls < 100 && !["completed", "failed"].includes(video.status); polls += 1) {
  video = await client.videos.retrieve(video.id);
}
assert.equal(video.status, "completed");
isMp4(await (await client.videos.downloadContent(video.id)).arrayBuffer());
saw("video");
const messages = [{ role: "user", content: "Say hello to the kite." }];
const whole = await client.chat.completions.create({ model: "gpt-5", messages });
assert.ok(whole.choices[0].message.content);
saw("chat");
let text = "";
for await (const chunk of await client.chat.completions.create({ model: "gpt-5", messages, stream: true })) {
  text += chunk.choices[0]?.delta?.content ?? "";
}
assert.equal(text, whole.choices[0].message.content);
saw("chat stream");

const REFUSALS = {
  "bad-request": OpenAI.BadRequestError,
  moderation: OpenAI.BadRequestError,
  forbidden: OpenAI.PermissionDeniedError,
  "not-found": OpenAI.NotFoundError,
  "rate-limit-seconds": OpenAI.RateLimitError,
  "error-before-accept": OpenAI.InternalServerError,
};
const generate = (from, mark) => from.images.generate({ model: "gpt-image-2", prompt: `a kite ${mark}` });
for (const [kind, type] of Object.entries(REFUSALS)) {
  const mark = marker();
  await strike(mark, kind);
  await refused(kind, () => generate(client, mark), (error) => error.constructor === type);
}
await refused("another key", () => generate(of("another-key"), marker()), (e) => e instanceof OpenAI.AuthenticationError);
