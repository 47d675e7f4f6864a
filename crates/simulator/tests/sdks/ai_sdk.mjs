// The AI SDK's provider packages that can be pointed at another host, against the simulator.
import assert from "node:assert/strict";
import { createAlibaba } from "@ai-sdk/alibaba";
import { createByteDance } from "@ai-sdk/bytedance";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import {
  APICallError, RetryError, experimental_generateSpeech as generateSpeech, experimental_generateVideo as generateVideo,
  generateImage, generateText, streamText,
} from "ai";
import { BASE, KEY, isMp4, isPng, isWav, marker, refused, saw, strike } from "./common.mjs";

const maxRetries = 0;
const openai = (apiKey) => createOpenAI({ baseURL: `${BASE}/openai/v1`, apiKey });
const alibaba = (apiKey) =>
  createAlibaba({ baseURL: `${BASE}/dashscope/compatible-mode/v1`, videoBaseURL: `${BASE}/dashscope`, apiKey });
const bytedance = (apiKey) => createByteDance({ baseURL: `${BASE}/volcengine/api/v3`, apiKey });
const compatible = (name, path) => createOpenAICompatible({ name, baseURL: `${BASE}${path}`, apiKey: KEY });

const image = await generateImage({ model: openai(KEY).image("gpt-image-2"), prompt: "a kite", size: "1024x1024", maxRetries });
isPng(image.image.uint8Array);
saw("openai image");
const speech = await generateSpeech({
  model: openai(KEY).speech("gpt-4o-mini-tts"), text: "Hello.", voice: "alloy", outputFormat: "wav", maxRetries,
});
isWav(speech.audio.uint8Array);
saw("openai speech");

const chats = {
  openai: openai(KEY).chat("gpt-5"),
  alibaba: alibaba(KEY)("qwen-plus"),
  modelscope: compatible("modelscope", "/modelscope/v1")("Qwen/Qwen3.5-35B-A3B"),
  volcengine: compatible("volcengine", "/volcengine/api/v3")("doubao-seed-1-6-250615"),
  minimax: compatible("minimax", "/minimax/v1")("MiniMax-M3"),
};
for (const [name, model] of Object.entries(chats)) {
  const prompt = "Say hello to the kite.";
  const whole = await generateText({ model, prompt, maxRetries });
  assert.ok(whole.text, name);
  let text = "";
  for await (const piece of streamText({ model, prompt, maxRetries }).textStream) text += piece;
  assert.equal(text, whole.text, name);
  saw(`${name} chat`);
}

const videos = {
  alibaba: (key) => alibaba(key).video("wan2.6-t2v"),
  bytedance: (key) => bytedance(key).video("doubao-seedance-1-5-pro-251215"),
};
for (const [name, model] of Object.entries(videos)) {
  const providerOptions = { [name]: { pollIntervalMs: 20 } };
  const clip = (key, mark, kind) => generateVideo({
    model: model(key), prompt: `a kite over a lake ${mark}`, aspectRatio: "16:9", resolution: "1280x720", duration: 5,
    maxRetries, providerOptions, download: async ({ url }) => ({ data: new Uint8Array(await (await fetch(url)).arrayBuffer()), mediaType: "video/mp4" }),
  });
  isMp4((await clip(KEY, marker())).video.uint8Array);
  saw(`${name} video`);
  for (const [kind, status] of Object.entries({ "bad-request": 400, "rate-limit-bare": 429, "error-before-accept": 500 })) {
    const mark = marker();
    await strike(mark, kind);
    await refused(`${name} ${kind}`, () => clip(KEY, mark), (error) => hasStatus(error, status));
  }
  await refused(`${name} another key`, () => clip("another-key", marker()), (error) => hasStatus(error, 401));
}

function hasStatus(error, status) {
  const inner = RetryError.isInstance(error) ? error.lastError : error;
  return APICallError.isInstance(inner) && inner.statusCode === status;
}
