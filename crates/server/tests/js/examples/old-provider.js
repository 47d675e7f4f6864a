await fetch('/api/v1/generations/image', {
method: 'POST',
body: JSON.stringify({
prompt: "a cat",
model: "qwen-image",
provider: "dashscope" // ❌ 不再支持
})
});
