// `move` hands the pixels of an image over to a job, and the result back. Pixels in a
// buffer from `allocate`, and those that were received, are not copied on the way.
import assert from 'node:assert/strict';
import { Jobserver, allocate, isWorker, move } from 'jobserver';

const SIZE = 1024; // Pixels in a line, and lines.
const CHANNELS = 4; // Red, green, blue and opacity: one byte each.

function newImage() {
  return new Uint8ClampedArray(allocate(SIZE * SIZE * CHANNELS));
}

function paint(shade) {
  const image = newImage();
  for (let i = 0; i < image.length; i++) image[i] = (i * shade) % 251;
  return image;
}

/** Each pixel becomes the mean of itself and its neighbors to the left and right. */
export function blur(image) {
  const blurred = newImage();
  const line = SIZE * CHANNELS;
  for (let i = 0; i < image.length; i++) {
    const column = i % line;
    const left = column < CHANNELS ? i : i - CHANNELS;
    const right = column >= line - CHANNELS ? i : i + CHANNELS;
    blurred[i] = (image[left] + image[i] + image[right]) / 3;
  }
  return move(blurred);
}

/** A quarter of the size. The result is so small that it is simply returned. */
export function thumbnail(image) {
  const size = SIZE / 4;
  const small = new Uint8ClampedArray(size * size * CHANNELS);
  for (let i = 0; i < small.length; i++) {
    const channel = i % CHANNELS;
    const column = Math.floor(i / CHANNELS) % size;
    const row = Math.floor(i / CHANNELS / size);
    small[i] = image[(row * 4 * SIZE + column * 4) * CHANNELS + channel];
  }
  return small;
}

async function makeThumbnail(jobserver, image) {
  const blurred = await jobserver.run(blur, move(image));
  // The job has the pixels now. Here, the buffer is detached.
  assert.equal(image.length, 0);
  assert.equal(blurred.length, SIZE * SIZE * CHANNELS);
  // What was received is moved on without a copy as well.
  const small = await jobserver.run(thumbnail, move(blurred));
  assert.equal(blurred.length, 0);
  return small;
}

if (!isWorker) {
  const jobserver = new Jobserver({ slots: 2, jobsPerProcess: Infinity });
  try {
    const shades = [3, 5, 7, 11];
    const thumbnails = await Promise.all(
      shades.map((shade) => makeThumbnail(jobserver, paint(shade))),
    );
    for (const [index, shade] of shades.entries()) {
      assert.deepEqual(thumbnails[index], thumbnail(blur(paint(shade))));
    }

    // A buffer that is not moved is copied, and stays as it is.
    const kept = paint(3);
    await jobserver.run(thumbnail, kept);
    assert.deepEqual(kept, paint(3));

    // As with postMessage, the memory of WebAssembly cannot be moved.
    const { buffer } = new WebAssembly.Memory({ initial: 1 });
    await assert.rejects(jobserver.run(thumbnail, move(buffer)), {
      name: 'DataCloneError',
    });
  } finally {
    await jobserver.close();
  }
  console.log('Four images went through two jobs each, and were not copied.');
}
