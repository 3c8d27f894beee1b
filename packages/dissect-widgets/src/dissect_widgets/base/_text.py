"""Texts that all panels show, as plain text and as HTML. Names come from checkpoints and are not trusted."""

from html import escape

from dissect_core.text import visible


def html_text(text: str) -> str:
    """Return text as HTML: invisible characters made visible, then everything escaped.

    Parameters
    ----------
    text : str
        Any text.

    Returns
    -------
    str
        HTML that holds no tag, safe inside an element or a quoted attribute.

    Examples
    --------
    >>> html_text("<b>'a' & b</b>")
    '&lt;b&gt;&#x27;a&#x27; &amp; b&lt;/b&gt;'
    """
    return escape(visible(text), quote=True)


def counted(n: int, noun: str) -> str:
    """Return a number and its noun, in the plural unless the number is 1.

    Parameters
    ----------
    n : int
        How many.
    noun : str
        Singular of a noun that takes an s.

    Returns
    -------
    str
        For instance ``"1,200 parameters"``.

    Examples
    --------
    >>> counted(1, "component"), counted(1200, "parameter")
    ('1 component', '1,200 parameters')
    """
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def status_html(text: str) -> str:
    """Return a line as HTML that screen readers announce when it changes.

    Parameters
    ----------
    text : str
        The line; escaped here.

    Returns
    -------
    str
        An element with ``role="status"``.

    Examples
    --------
    >>> status_html("<3 components")
    '<div role="status" style="overflow-wrap:anywhere">&lt;3 components</div>'
    """
    return f'<div role="status" style="overflow-wrap:anywhere">{html_text(text)}</div>'


def problem_html(error: str, details: str) -> str:
    """Return an error as HTML: type and message, and the traceback folded away.

    Parameters
    ----------
    error : str
        Type and message; empty if nothing failed.
    details : str
        The traceback, or nothing.

    Returns
    -------
    str
        Both escaped; empty without an error.

    Examples
    --------
    >>> problem_html("", "")
    ''
    >>> "<summary>Traceback</summary>" in problem_html("ValueError: <x>", "Traceback ...")
    True
    """
    if not error:
        return ""
    lines = "\n".join(html_text(line) for line in details.splitlines())
    pre = f'<pre tabindex="0" style="overflow-x:auto;width:0;min-width:100%">{lines}</pre>'
    more = f"<details><summary>Traceback</summary>{pre}</details>" if lines else ""
    return f'<div role="alert" style="overflow-wrap:anywhere"><strong>{html_text(error)}</strong></div>{more}'
