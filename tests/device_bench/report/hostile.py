"""Names that try to get out of where they are shown."""

HOSTILE = (
    '<img src=x onerror="document.title=`owned`">',
    "</script><script>document.title='owned'</script>",
    '"><svg onload=document.title=1>',
    "'; document.title=1; //",
    "{{ 7 * 7 }}{% raw %}",
    "%{x} <b>bold</b> <a href='javascript:alert(1)'>link</a>",
    "\u202egnp.exe\u2066",
    "a|b`c`[d](javascript:alert(1))![e](http://example.invalid/x.png)",
    "\x1b[31mred\x07\r\nSecond: line",
    "lone \ud800 surrogate",
    "$\\alpha$ &lt;b&gt;",
    "x" * 10_000,
)
"""HTML, script, attributes, templates, Plotly's own tags, direction marks, Markdown, terminals, Unicode, length."""
