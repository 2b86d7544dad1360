"""Sphinx configuration. Builds without the network; warnings are errors in CI."""

import re
from importlib.metadata import version as distribution_version

from docutils.nodes import SkipNode

from validation.inline_math import formula

project = "rmt-toolkit"
author = "The rmt-toolkit developers"
project_copyright = "2026, The rmt-toolkit developers"
release = version = distribution_version("rmt-toolkit")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
]
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

# Docstrings are numpydoc; types stand in the signatures and are not repeated.
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_preprocess_types = False
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
default_role = "code"  # `name` in a docstring is a name, not a cross reference that may dangle

# the blank line that ends a doctest before a fence is not shown
highlight_options = {"python": {"stripall": True}, "pycon": {"stripall": True}}

exclude_patterns = ["_build"]
html_math_renderer = "mathml"  # drawn by the browser itself: no script, no network
html_theme = "furo"
html_title = "rmt-toolkit"

# Docstrings are full of |z| and S_ without backquotes: mathematics, not reStructuredText's substitutions and links.
_LITERAL = re.compile(r"(``.*?``|`[^`]*`)")
_MARKUP = re.compile(r"\||(?<=\w)_(?=\W|$)")


def escape_mathematics(_app, _what, _name, _object, _options, lines):
    """Escape bars and trailing underscores outside literals, so that they are shown as they are."""
    for number, line in enumerate(lines):
        if not line.lstrip().startswith((">>>", "...", ".. ")):
            parts = _LITERAL.split(line)
            parts[::2] = [_MARKUP.sub(r"\\\g<0>", part) for part in parts[::2]]
            lines[number] = "".join(parts)


def show_inline(translator, node):
    """Write an inline formula as MathML."""
    translator.body.append(formula(node.astext()))
    raise SkipNode


def show_block(translator, node):
    """Write a displayed formula as MathML."""
    translator.body.append(formula(node.astext(), block=True))
    raise SkipNode


def setup(app):
    """Register the hook, with priority over napoleon, which then sees escaped text, and the formulas' renderer."""
    app.connect("autodoc-process-docstring", escape_mathematics, priority=400)
    app.add_html_math_renderer("mathml", inline_renderers=(show_inline, None), block_renderers=(show_block, None))
