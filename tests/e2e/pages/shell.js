// A service worker that keeps what its pages load, and gives them that when they load it again.

addEventListener('install', () => skipWaiting())
addEventListener('activate', (event) => event.waitUntil(clients.claim()))
addEventListener('fetch', (event) => event.respondWith(load(event.request)))

async function load (request) {
  const shell = await caches.open('shell')
  const kept = await shell.match(request)
  if (kept) return kept
  const response = await fetch(request)
  await shell.put(request, response.clone())
  return response
}
