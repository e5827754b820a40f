"""Makes the pictures beside this file, and in expected/ what Pillow reads in each: upright RGB.

/usr/bin/python3 make.py    (Pillow 9.4, numpy; what is here was made so)
"""

import os
import struct
import zlib

import numpy as np
from PIL import Image, ImageOps

HERE = os.path.dirname(os.path.abspath(__file__))
W, H = 24, 16
Y, X = np.mgrid[0:H, 0:W]
RGB = np.stack([10 * X, 15 * Y, 7 * X * Y % 256], axis=-1).astype(np.uint8)
ALPHA = (X * Y % 256).astype(np.uint8)
base = Image.fromarray(RGB)
rgba = Image.fromarray(np.dstack([RGB, ALPHA]), "RGBA")
gray_alpha = Image.fromarray(np.dstack([RGB[..., 2], ALPHA]), "LA")


def path(name):
    return os.path.join(HERE, name)


def save(name, image, **options):
    image.save(path(name), **options)
    upright = ImageOps.exif_transpose(Image.open(path(name))).convert("RGB")
    upright.save(path(f"expected/{name}.png"))


def write(name, data, expected):
    with open(path(name), "wb") as file:
        file.write(data)
    Image.fromarray(expected).save(path(f"expected/{name}.png"))


def png(samples, depth, color_type, chunks=b""):
    """A PNG file of big-endian samples [H, bytes]."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + row.tobytes() for row in samples)
    header = struct.pack(">IIBBBBB", W, H, depth, color_type, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunks + chunk(b"IDAT", zlib.compress(rows))
            + chunk(b"IEND", b""))


def tiff(samples, order=">", photometric=2, extra=None, orientation=1):
    """An uncompressed TIFF file of one strip."""
    channels = 1 if samples.ndim == 2 else samples.shape[2]
    data = samples.astype(samples.dtype.newbyteorder(order)).tobytes()
    entries = [(256, 4, [samples.shape[1]]), (257, 4, [samples.shape[0]]),
               (258, 3, [samples.dtype.itemsize * 8] * channels), (259, 3, [1]), (262, 3, [photometric]),
               (273, 4, None), (274, 3, [orientation]), (277, 3, [channels]), (278, 4, [samples.shape[0]]),
               (279, 4, [len(data)])]
    if extra is not None:
        entries.append((338, 3, [extra]))
    after = 8 + 2 + 12 * len(entries) + 4
    outside = b""
    directory = struct.pack(order + "H", len(entries))
    strip_at = after + 2 * channels * (channels > 2)
    for tag, kind, values in entries:
        values = [strip_at] if values is None else values
        packed = struct.pack(order + {3: "H", 4: "I"}[kind] * len(values), *values)
        if len(packed) > 4:
            packed, outside = struct.pack(order + "I", after + len(outside)), outside + packed
        directory += struct.pack(order + "HHI", tag, kind, len(values)) + packed.ljust(4, b"\0")
    head = {">": b"MM", "<": b"II"}[order] + struct.pack(order + "HI", 42, 8)
    return head + directory + b"\0" * 4 + outside + data


def exif(orientation):
    tags = Image.Exif()
    tags[0x112] = orientation
    return tags


save("rgb.png", base)
save("gray.png", base.convert("L"))
save("one_bit.png", base.convert("1"))
save("palette.png", base.quantize(64))
save("palette_alpha.png", base.quantize(16), transparency=bytes(range(0, 160, 10)))
save("rgba.png", rgba)
save("gray_alpha.png", gray_alpha)
save("exif.png", base, exif=exif(6))
wide = np.random.default_rng(1).integers(0, 65536, (H, W, 4)).astype(np.uint16)
big = wide.astype(">u2").view(np.uint8).reshape(H, W, 4, 2)
high = (wide >> 8).astype(np.uint8)
write("rgb16.png", png(big[:, :, :3].reshape(H, -1), 16, 2), high[..., :3])
write("gray16.png", png(big[:, :, 0].reshape(H, -1), 16, 0), np.repeat(high[..., :1], 3, 2))

save("baseline.jpg", base, quality=90)
save("progressive.jpg", base, quality=60, progressive=True)
save("full_chroma.jpg", base, quality=80, subsampling=0)
save("gray.jpg", base.convert("L"))
for orientation in range(1, 9):
    save(f"exif{orientation}.jpg", base, quality=85, exif=exif(orientation))

save("lossless.webp", base, lossless=True)
save("lossy.webp", base, quality=70)
save("alpha.webp", rgba, lossless=True, exact=True)
save("exif.webp", base, lossless=True, exif=exif(8).tobytes())

save("rgb.bmp", base)
save("palette.bmp", base.quantize(32))
save("one_bit.bmp", base.convert("1"))
save("alpha.bmp", rgba)
rows = RGB[..., ::-1].tobytes()
write("top_down.bmp", b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54 + len(rows), 0, 0, 54, 40, W, -H, 1, 24, 0,
                                          len(rows), 0, 0, 0, 0) + rows, RGB)

save("lzw.tif", base, compression="tiff_lzw")
save("palette.tif", base.quantize(32))
save("one_bit.tif", base.convert("1"))
write("big_endian.tif", tiff(RGB), RGB)
write("alpha.tif", tiff(np.dstack([RGB, ALPHA]), "<", extra=2), RGB)
UPRIGHT = {2: lambda a: a[:, ::-1], 3: lambda a: a[::-1, ::-1], 4: lambda a: a[::-1],
           5: lambda a: a.swapaxes(0, 1), 6: lambda a: a.swapaxes(0, 1)[:, ::-1],
           7: lambda a: a.swapaxes(0, 1)[::-1, ::-1], 8: lambda a: a.swapaxes(0, 1)[::-1]}
for orientation, upright in UPRIGHT.items():
    write(f"turned{orientation}.tif", tiff(RGB, orientation=orientation), upright(RGB).copy())
    write(f"turned{orientation}_16.tif", tiff(wide[..., :3], orientation=orientation),
          upright(high[..., :3]).copy())
write("rgb16.tif", tiff(wide[..., :3]), high[..., :3])
write("white_is_zero.tif", tiff(RGB[..., 2], photometric=0), np.repeat(255 - RGB[..., 2:], 3, 2))

pixel = Image.new("RGB", (1, 1), (200, 100, 50))
for kind in ("png", "jpg", "webp", "bmp", "tif"):
    save(f"one_pixel.{kind}", pixel)

# resize/FILTER_WIDTHxHEIGHT.png: source.png with each of Pillow's filters.
source = Image.fromarray(np.random.default_rng(2).integers(0, 256, (29, 37, 3), dtype=np.uint8))
source.save(path("resize/source.png"))
for code in range(6):
    for size in ((11, 8), (50, 61), (37, 3), (90, 29), (1, 1)):
        source.resize(size, code).save(path(f"resize/{code}_{size[0]}x{size[1]}.png"))
