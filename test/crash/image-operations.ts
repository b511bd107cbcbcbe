import { expect } from 'vitest'
import type { Operation } from './operations.ts'
import { endPod, runContainer } from './subject.ts'

/** They do not depend on a handler; the image is run all the same. */
export const imageOperations = (image: string) =>
  ({
    PullImage: {
      name: 'PullImage',
      rpc: 'PullImage',
      container: { image: { image } },
      prepare: async () => {},
      request: () => ({ image: { image } }),
      async check(subject, { image_ref }) {
        const { images } = await subject.daemon.rpc('ListImages', { filter: { image: { image } } })
        expect(images).toMatchObject([{ id: image_ref, repo_tags: [image] }])
        await runContainer(subject)
        await endPod(subject)
        await subject.daemon.rpc('RemoveImage', { image: { image } })
      },
    },
    RemoveImage: {
      name: 'RemoveImage',
      rpc: 'RemoveImage',
      prepare: async ({ daemon }) => void (await daemon.rpc('PullImage', { image: { image } })),
      request: () => ({ image: { image } }),
      async check({ daemon }) {
        expect((await daemon.rpc('ImageStatus', { image: { image } }))['image']).toBeNull()
      },
    },
  }) satisfies { readonly [rpc: string]: Operation }
