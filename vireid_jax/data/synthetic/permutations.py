"""Gallery draws of a synthetic world, in the form of SYSU-MM01's official draws."""

import numpy as np

from vireid_jax.data.synthetic.world import PERMUTATION_STREAM, WorldSpec, random_stream

TRIALS = 10


def gallery_permutation(spec: WorldSpec, identity: int, camera: int) -> np.ndarray:
  """Returns the order in which each trial draws an identity's images of a camera.

  Args:
    spec: The world.
    identity: Identity number.
    camera: Camera number.

  Returns:
    int64 [10, n], each row a permutation of 1..n; [10, 0] if the camera did not see the identity.
  """
  if camera not in spec.cameras_of(identity):
    return np.zeros((TRIALS, 0), np.int64)
  generator = random_stream(spec.seed, PERMUTATION_STREAM, identity, camera)
  numbers = np.arange(1, spec.images_per_camera + 1)
  return np.stack([generator.permutation(numbers) for _ in range(TRIALS)])
