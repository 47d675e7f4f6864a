// 1. 获取模型配置
const response = await fetch('/api/v1/models');
const { data } = await response.json();
// 2. 使用模型 ID
const imageModels = data.image;
const modelId = Object.keys(imageModels)[0]; // "dashscope/qwen-image"
// 3. 调用生成 API
await fetch('/api/v1/generations/image', {
method: 'POST',
body: JSON.stringify({
prompt: "a cat",
model: modelId
})
});
