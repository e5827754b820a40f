"""Makes the pictures beside this file that make.py does not: formats and varieties that came later, and in expected/
what Pillow reads in each: upright RGB.

python3 make_formats.py    (Pillow 13.0 with pillow-heif and pillow-jxl-plugin; what is here was made so)
"""

import os
import struct

import numpy as np
import pillow_heif
import pillow_jxl  # noqa: F401  (registers itself)
from PIL import Image, ImageOps

pillow_heif.register_heif_opener()
HERE = os.path.dirname(os.path.abspath(__file__))
W, H = 24, 16
Y, X = np.mgrid[0:H, 0:W]
RGB = np.stack([10 * X, 15 * Y, 7 * X * Y % 256], axis=-1).astype(np.uint8)
SMOOTH = np.stack([10 * X, 15 * Y, 120 + 4 * X - 5 * Y], axis=-1).astype(np.uint8)
ALPHA = (X * Y % 256).astype(np.uint8)
base, smooth = Image.fromarray(RGB), Image.fromarray(SMOOTH)
rgba = Image.fromarray(np.dstack([RGB, ALPHA]))
turned = Image.Exif()
turned[0x112] = 6


def path(name):
    return os.path.join(HERE, name)


def save(name, image, **options):
    image.save(path(name), **options)
    upright = ImageOps.exif_transpose(Image.open(path(name))).convert("RGB")
    upright.save(path(f"expected/{name}.png"))


def bmp(name, bits, compression, pixels, masks=(), palette=b"", expected=None):
    extra = b"".join(struct.pack("<I", mask) for mask in masks)
    offset = 54 + len(extra) + len(palette)
    with open(path(name), "wb") as file:
        file.write(b"BM" + struct.pack("<IHHI", offset + len(pixels), 0, 0, offset))
        file.write(struct.pack("<IiiHHIIiiII", 40, W, H, 1, bits, compression, len(pixels), 0, 0, 0, 0))
        file.write(extra + palette + pixels)
    Image.fromarray(expected).save(path(f"expected/{name}.png"))


def masked(name, bits, widths, compression=3):
    """RGB in so many bits each, red highest; all bits set are 255."""
    pixel = np.zeros((H, W), np.uint32)
    masks, shift = [], sum(widths)
    expected = np.zeros((H, W, 3), np.uint8)
    for c, width in enumerate(widths):
        shift -= width
        most = (1 << width) - 1
        value = RGB[..., c].astype(np.uint32) * most // 255
        pixel |= value << shift
        masks.append(most << shift)
        expected[..., c] = value * 255 // most
    rows = pixel[::-1].astype("<u2" if bits == 16 else "<u4").tobytes()
    bmp(name, bits, compression, rows, masks if compression == 3 else (), b"", expected)


def run_lengths(name, bits):
    colors = 1 << bits
    palette = [(10 * i % 256, 255 - i, 37 * i % 256) for i in range(colors)]
    index = (X // 3 + Y) % colors
    out = b""
    for row in index[::-1]:
        x = 0
        while x < W:
            count = min(6, W - x)
            part = [int(v) for v in row[x:x + count]]
            if len(set(part[:3])) == 1:
                part = part[:3]
                out += bytes([3, part[0] if bits == 8 else part[0] * 17])
            else:
                data = bytes(part) if bits == 8 else bytes(a << 4 | b for a, b in zip(part[::2], part[1::2]))
                out += bytes([0, count]) + data + b"\0" * (len(data) % 2)
            x += len(part)
        out += b"\0\0"
    table = b"".join(struct.pack("<BBBB", b, g, r, 0) for r, g, b in palette)
    expected = np.array(palette, np.uint8)[index]
    bmp(name, bits, 1 if bits == 8 else 2, out + b"\0\1", (), table, expected)


os.makedirs(path("expected"), exist_ok=True)
palette = base.quantize(40)
save("palette.gif", palette, interlace=0)
save("interlaced.gif", palette, interlace=1)
save("transparent.gif", palette, transparency=3)
save("moving.gif", palette, save_all=True, append_images=[ImageOps.invert(base).quantize(40)], duration=50)
save("moving.webp", base, save_all=True, append_images=[ImageOps.invert(base)], duration=50, lossless=True)
save("moving.png", base, save_all=True, append_images=[ImageOps.invert(base)], duration=50)
save("cmyk.jpg", base.convert("CMYK"), quality=90)
save("deflate.tif", base, compression="tiff_adobe_deflate")
save("packbits.tif", palette, compression="packbits")
save("jpeg.tif", base, compression="jpeg")
save("group4.tif", base.convert("1"), compression="group4")
save("cmyk.tif", base.convert("CMYK"), compression="tiff_lzw")
save("rgb.jp2", base)
save("rgb.j2k", rgba, no_jp2=True)
save("gray.jp2", base.convert("L"))
save("lossless.jxl", base, lossless=True)
save("photo.jxl", smooth, quality=90)
save("photo.heic", smooth, quality=90)
save("turned.heic", smooth, quality=90, exif=turned)
save("photo.avif", smooth, quality=90, subsampling="4:4:4")
save("turned.avif", smooth, quality=90, subsampling="4:4:4", exif=turned)
masked("bits555.bmp", 16, (5, 5, 5), compression=0)
masked("bits565.bmp", 16, (5, 6, 5))
masked("bits444.bmp", 16, (4, 4, 4))
masked("bits101010.bmp", 32, (10, 10, 10))
run_lengths("runs8.bmp", 8)
run_lengths("runs4.bmp", 4)

# Bright pictures without a black pixel, for the test that damages them.
os.makedirs(path("mutants"), exist_ok=True)
V, U = np.mgrid[0:48, 0:64]
waves = [150 + 60 * np.sin(U / 5 + c) * np.cos(V / (4 + c)) + 25 * np.sin(U * V / 60) for c in range(3)]
bright = Image.fromarray(np.stack(waves, axis=-1).clip(60, 250).astype(np.uint8))
gray, few = bright.convert("L"), bright.quantize(60)
for name, image, options in [
        ("rgb.png", bright, {}), ("palette.png", few, {}), ("gray.png", gray, {}), ("moving.png", bright, {
            "save_all": True, "append_images": [ImageOps.flip(bright)], "duration": 50}),
        ("baseline.jpg", bright, {"quality": 85}), ("gray.jpg", gray, {"quality": 85}),
        ("progressive.jpg", bright, {"quality": 85, "progressive": True}),
        ("restarts.jpg", bright, {"quality": 90, "restart_marker_blocks": 4}),
        ("cmyk.jpg", bright.convert("CMYK"), {"quality": 90}),
        ("lossy.webp", bright, {"quality": 80}), ("lossless.webp", bright, {"lossless": True}),
        ("moving.webp", bright, {"save_all": True, "append_images": [ImageOps.flip(bright)], "duration": 50}),
        ("rgb.bmp", bright, {}), ("raw.tif", bright, {}), ("lzw.tif", bright, {"compression": "tiff_lzw"}),
        ("deflate.tif", bright, {"compression": "tiff_adobe_deflate"}),
        ("packbits.tif", bright, {"compression": "packbits"}), ("jpeg.tif", bright, {"compression": "jpeg"}),
        ("palette.gif", few, {"interlace": 0}), ("interlaced.gif", few, {"interlace": 1}), ("photo.heic", bright, {"quality": 80}),
        ("photo.avif", bright, {"quality": 80}), ("photo.jxl", bright, {"quality": 85}),
        ("lossless.jp2", bright, {}), ("lossy.jp2", bright, {"irreversible": True, "quality_mode": "rates",
                                                            "quality_layers": [12]})]:
    image.save(path(f"mutants/{name}"), **options)
