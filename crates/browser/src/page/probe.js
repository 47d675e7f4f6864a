// Looks at the page and changes nothing, but that `aim` brings an element into view.
(() => {
  const shown = (element) => {
    const box = element.getBoundingClientRect();
    const style = getComputedStyle(element);
    return box.width > 1 && box.height > 1 && style.visibility !== 'hidden' && Number(style.opacity) > 0;
  };
  const find = (selector) => [...document.querySelectorAll(selector)].filter(shown);
  const one = (selector) => find(selector)[0] ?? null;
  const words = /\b(verification|verify|captcha|code)\b/i;

  const username = one('#Username');
  const password = one('#Password');
  const login =
    find('button').find((button) => [...button.querySelectorAll('span')].some((s) => s.textContent.trim() === 'Login')) ??
    null;
  // The buttons that send the form of the password, whatever their language.
  const form = password?.closest('form');
  const submits = (form ? find('button, input[type=submit]') : []).filter(
    (element) => element.form === form && element.type === 'submit',
  );
  const targets = { username, password, login, submit: submits.length === 1 ? submits[0] : null };

  // Where a press would go, or why it would not.
  const aim = (name) => {
    const element = targets[name];
    if (!element) return null;
    element.scrollIntoView({ block: 'center', inline: 'center', behavior: 'instant' });
    const box = element.getBoundingClientRect();
    const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
    const top = document.elementFromPoint(x, y);
    const free = !element.disabled && element.getAttribute('aria-disabled') !== 'true';
    return { x, y, free: free && top !== null && element.contains(top) };
  };

  // Frames of those who ask whether one is a person.
  const guards =
    /(^|\.)(challenges\.cloudflare\.com|hcaptcha\.com|recaptcha\.net|arkoselabs\.com|funcaptcha\.com|geetest\.com|captcha-delivery\.com|captcha\.qq\.com|captcha\.aliyuncs\.com|awswaf\.com)$/;
  const guard = find('iframe').some((frame) => {
    try {
      const url = new URL(frame.src);
      return guards.test(url.hostname) || (/(^|\.)google\.com$/.test(url.hostname) && url.pathname.startsWith('/recaptcha'));
    } catch {
      return false;
    }
  });
  // A field, or a box in front of the page, that wants a proof.
  const named = (element) =>
    ['id', 'name', 'placeholder', 'aria-label', 'autocomplete'].some((name) =>
      /verif|captcha|\bcode\b|one-time-code/i.test(element.getAttribute(name) ?? ''),
    );
  const field = find('input').some((input) => input !== username && input !== password && named(input));
  const box = find('dialog, [role=dialog], [role=alertdialog], [aria-modal=true]').some((element) =>
    words.test(element.innerText),
  );
  const text = document.body?.innerText ?? '';
  const lines = text.split('\n').map((line) => line.trim().slice(0, 200));

  return {
    aim,
    lengths: () => [username?.value.length ?? 0, password?.value.length ?? 0],
    look: () => ({
      origin: location.origin,
      loaded: document.readyState === 'complete',
      fields: username !== null && password !== null,
      password: password !== null,
      login: login !== null,
      submit: targets.submit !== null,
      guard,
      asked: field || box,
      lines: [...new Set(lines.filter((line) => words.test(line)))].slice(0, 100),
      home: /\bHome\b/.test(text),
    }),
  };
})()
