"""Short forms of Figma's values: colours as #RRGGBB, paints, effects, text styles, variables as their ids."""

from typing import Any

from .shapes import present, rows, shorten, table

_TEXT_DEFAULTS: dict[str, object] = {
    "fontFamily": None,
    "fontWeight": None,
    "fontSize": None,
    "lineHeightPx": None,
    "letterSpacing": 0,
    "paragraphSpacing": 0,
    "italic": False,
    "textAlignHorizontal": "LEFT",
    "textAlignVertical": "TOP",
    "textCase": "ORIGINAL",
    "textDecoration": "NONE",
    "textTruncation": "DISABLED",
    "maxLines": None,
}


def number(value: object) -> Any:
    """A number with at most two decimals, whole where it is; anything else as it is."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    short = round(value, 2)
    return int(short) if short == int(short) else short


def numbers(value: object) -> list[Any]:
    """The numbers of a list, shortened; none if it is no list."""
    return [number(item) for item in value] if isinstance(value, list) else []


def box(rectangle: object) -> list[int] | None:
    """[x, y, width, height] in whole pixels."""
    sides = [table(rectangle).get(name) for name in ("x", "y", "width", "height")]
    numbers = [round(side) for side in sides if isinstance(side, int | float)]
    return numbers if len(numbers) == 4 else None


def color(value: object, opacity: object = 1) -> str | None:
    """`#RRGGBB`, with two digits more where it is not opaque; None for what is no colour."""
    rgba = table(value)
    channels = [rgba.get(name) for name in ("r", "g", "b")]
    shares = [channel for channel in channels if isinstance(channel, int | float)]
    if len(shares) < 3:
        return None
    alpha, over = rgba.get("a", 1), opacity
    shares.append((alpha if isinstance(alpha, int | float) else 1) * (over if isinstance(over, int | float) else 1))
    digits = "".join(f"{min(255, max(0, round(share * 255))):02X}" for share in shares)
    return "#" + digits.removesuffix("FF") if len(digits) == 8 else None


def paints(value: object) -> list[Any]:
    """The visible paints: a colour where that says all, else an object."""
    return [_paint(paint) for paint in rows(value) if paint.get("visible") is not False]


def effects(value: object) -> list[dict[str, Any]]:
    """The visible shadows and blurs."""
    return [
        present(
            type=effect.get("type"),
            radius=number(effect.get("radius")),
            spread=number(effect.get("spread")) or None,
            offset=[number(table(effect.get("offset")).get(axis, 0)) for axis in "xy"] if "offset" in effect else None,
            color=color(effect.get("color")),
        )
        for effect in rows(value)
        if effect.get("visible") is not False
    ]


def text_style(value: object) -> dict[str, Any]:
    """Font, size, spacing and alignment, without what is so anyway."""
    style = table(value)
    short = {
        name: number(style[name])
        for name, usual in _TEXT_DEFAULTS.items()
        if style.get(name) is not None and number(style[name]) != usual
    }
    link = table(style.get("hyperlink"))
    return short | present(link=link.get("url") or link.get("nodeID"), fills=paints(style.get("fills")))


def variables(value: object) -> Any:
    """The ids of the variables that set a field, in place of the aliases around them."""
    if isinstance(value, list):
        return [variables(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get("type") == "VARIABLE_ALIAS":
        return value.get("id")
    return {name: variables(item) for name, item in value.items()}


def component_properties(value: object) -> dict[str, Any]:
    """An instance's properties: name → value."""
    return {name: shorten_value(table(item).get("value")) for name, item in table(value).items()}


def property_definitions(value: object) -> dict[str, Any]:
    """A component's properties: name → type, default and options."""
    return {
        name: present(
            type=table(item).get("type"),
            default=shorten_value(table(item).get("defaultValue")),
            options=table(item).get("variantOptions"),
        )
        for name, item in table(value).items()
    }


def shorten_value(value: object) -> Any:
    """A scalar, texts cut at 300 characters."""
    return shorten(value, 300) if isinstance(value, str) else number(value)


def _paint(paint: dict[str, Any]) -> Any:
    kind = paint.get("type")
    if kind == "SOLID":
        short = color(paint.get("color"), paint.get("opacity", 1))
        variable = variables(table(paint.get("boundVariables")).get("color"))
        return {"color": short, "variable": variable} if variable else short
    stops = [
        f"{color(stop.get('color'))} at {number(stop.get('position'))}" for stop in rows(paint.get("gradientStops"))
    ]
    return present(
        type=kind,
        stops=stops,
        imageRef=paint.get("imageRef"),
        scaleMode=paint.get("scaleMode"),
        sourceNodeId=paint.get("sourceNodeId"),
        opacity=number(paint.get("opacity")) if paint.get("opacity") != 1 else None,
    )
