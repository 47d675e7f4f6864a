try {
const response = await fetch('/api/v1/generations/image', {
method: 'POST',
body: JSON.stringify({
prompt: "a cat",
model: "dashscope/qwen-image"
})
});
if (!response.ok) {
const error = await response.json();
console.error('API Error:', error.message);
return;
}
const { data } = await response.json();
console.log('Task ID:', data.task_id);
} catch (error) {
console.error('Network Error:', error);
}
