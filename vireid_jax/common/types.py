"""Types that networks, methods and the trainer exchange."""

from typing import Any

from jax import Array

# {'params': ..., 'batch_stats': ..., <the method's own collections>}
Variables = dict[str, Any]
# 'visible', 'infrared': float [b, h, w, 3], augmented and normalised; 'label': int32 [b]. The i-th
# visible and the i-th infrared image show the same identity, label[i]. A method that trains on two
# views of the visible images also gets 'visible_2': the same images, augmented independently. A
# sampler may draw images regardless of their modality: 'modality', int32 [b, 2], then says which
# modality the image in each of the two arrays has, 0 visible and 1 infrared.
Batch = dict[str, Array]
