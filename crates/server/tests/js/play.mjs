// Plays a clip: node play.mjs <page to stand on> <address of the clip>

import { withPage } from './browser.mjs';

const [stand, clip] = process.argv.slice(2);

await withPage(async page => {
  await page.goto(stand);
  return page.evaluate(async clip => {
    const video = document.createElement('video');
    Object.assign(video, { muted: true, loop: false, src: clip });
    document.body.replaceChildren(video);
    const failed = new Promise((_, reject) => video.addEventListener('error', () => reject(new Error(video.error?.message ?? 'error'))));
    const event = name => new Promise(resolve => video.addEventListener(name, resolve, { once: true }));

    const picture = () => {
      const canvas = Object.assign(document.createElement('canvas'), { width: video.videoWidth, height: video.videoHeight });
      const context = canvas.getContext('2d');
      context.drawImage(video, 0, 0);
      return context.getImageData(0, 0, canvas.width, canvas.height).data.join();
    };
    const play = async () => {
      await video.play();
      const first = picture();
      await event('ended');
      const time = video.currentTime;
      const moves = first !== picture();
      const seeked = event('seeked');
      video.currentTime = 0.5;
      await seeked;
      return { time, moves, seeks: Math.abs(video.currentTime - 0.5) < 0.05 };
    };
    const { time, moves, seeks } = await Promise.race([play(), failed]);
    return { time, moves, seeks, width: video.videoWidth, height: video.videoHeight, duration: video.duration, error: video.error?.message ?? null };
  }, clip);
});
