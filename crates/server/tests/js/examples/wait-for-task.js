async function waitForTask(taskId) {
while (true) {
const response = await fetch(`/api/v1/tasks/${taskId}`);
const { data } = await response.json();
if (data.status === 'completed') {
return data.result;
}
if (data.status === 'failed') {
throw new Error('Task failed');
}
// 等待 2 秒后重试
await new Promise(resolve => setTimeout(resolve, 2000));
}
}
