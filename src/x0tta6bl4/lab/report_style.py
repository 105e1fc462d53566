"""The style of the report page: light and dark, one column on a phone; colours told apart by colour-blind readers."""

from __future__ import annotations

from typing import Final

# Okabe and Ito's palette, shifted in lightness so that the states also differ in grey.
STYLE: Final = """
:root{color-scheme:light dark;--page:#fbfbf9;--card:#fff;--text:#1c2126;--soft:#5b6670;--line:#dfe3e6;
--ok:#86c5ee;--slow:#e69f00;--some:#c25a94;--lost:#7a1f0a;--excused:#c3c9ce;--fault:#f4ead2;--faultline:#c9a54a;
--incident:#0b5c96;--action:#00684c;--proof:#4b3a8f;--undo:#8a4b00;--ink:#fff;--alarm:#b3261e}
@media (prefers-color-scheme:dark){:root{--page:#14171a;--card:#1c2024;--text:#e8ebed;--soft:#9da8b1;--line:#333a40;
--ok:#2f719e;--slow:#e8ab1f;--some:#dd86b5;--lost:#ff6b3d;--excused:#4a5258;--fault:#2e2a1c;--faultline:#8d7738;
--incident:#8cc8f5;--action:#5fd0ab;--proof:#bcaef5;--undo:#f0b060;--ink:#101315;--alarm:#ff8a80}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--text);
font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
header,main{max-width:80rem;margin:0 auto;padding:0 1rem}
header{padding-top:1.5rem}
h1{font-size:1.6rem;line-height:1.2;margin:0}
header p{margin:.3rem 0 0;color:var(--soft)}
h2{font-size:1.2rem;margin:2.2rem 0 .6rem}
h3{font-size:1.05rem;margin:0 0 .4rem}
small{color:var(--soft);font-weight:400;font-size:.8rem}
th small{display:block}
table{border-collapse:collapse;width:100%;background:var(--card);font-variant-numeric:tabular-nums}
th,td{padding:.4rem .5rem;border-bottom:1px solid var(--line);text-align:right;vertical-align:top}
th[scope=row],thead th:first-child{text-align:left;font-weight:600}
thead th{font-size:.8rem;color:var(--soft);vertical-align:bottom;font-weight:600}
td{white-space:nowrap}
.totals td{font-weight:600}
.totals tbody{display:block;columns:2 24rem;column-gap:2rem}
.totals{background:none}
.totals tr{display:flex;justify-content:space-between;break-inside:avoid;border-bottom:1px solid var(--line)}
.totals th,.totals td{border:0;padding:.35rem .2rem}
.wide{overflow-x:auto}
.wide th[scope=row]{position:sticky;left:0;background:var(--card);min-width:9.5rem}
.none{color:var(--soft);font-weight:400}
.alarm{color:var(--alarm)}
details{margin:.8rem 0;padding:.5rem .8rem;background:var(--card);border:1px solid var(--line);border-radius:.4rem}
summary{cursor:pointer;font-weight:600}
.legend{list-style:none;padding:0;display:flex;flex-wrap:wrap;gap:.3rem 1.3rem;margin:.5rem 0;font-size:.88rem}
.legend li{display:flex;align-items:center;gap:.45rem}
.legend svg{width:22px;flex:none}
.run{background:var(--card);border:1px solid var(--line);border-radius:.5rem;padding:1rem;margin:1rem 0}
figure{margin:.7rem 0 0}
figcaption{font-size:.92rem;margin-bottom:.25rem}
.on figcaption,.off figcaption{font-weight:600}
.run svg{display:block;width:100%;min-width:44rem;height:auto}
ol{margin:.3rem 0 0;padding-left:2rem;columns:2 22rem;font-size:.85rem;font-variant-numeric:tabular-nums}
li{break-inside:avoid}
ol li::marker{font-weight:700}
svg text{font:12px system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;fill:var(--text)}
.tick{text-anchor:middle;fill:var(--soft)!important}
.pair{text-anchor:end}
.what{font-weight:600!important}
.ok{fill:var(--ok)}.slow{fill:var(--slow)}.some{fill:var(--some)}.lost{fill:var(--lost)}.excused{fill:var(--excused)}
.unwell{fill:var(--text)}
.fault rect{fill:var(--fault);stroke:var(--faultline);stroke-dasharray:4 3}
.mark line{stroke-width:1;stroke-dasharray:2 3;opacity:.55}
.mark text{font-size:11px;font-weight:700;text-anchor:middle;fill:var(--ink)}
.incident circle{fill:var(--incident)}.incident line{stroke:var(--incident)}
.action rect{fill:var(--action)}.action line{stroke:var(--action)}
.proof path{fill:var(--proof)}.proof line{stroke:var(--proof)}
.undo path{fill:var(--undo)}.undo line{stroke:var(--undo)}
li.incident::marker{color:var(--incident)}li.action::marker{color:var(--action)}
li.proof::marker{color:var(--proof)}li.undo::marker{color:var(--undo)}
@media (max-width:40rem){th,td{padding:.35rem .45rem}
.run{padding:.7rem;margin:1rem -.4rem}.wide th[scope=row]{min-width:7rem}}
@media print{.run{break-inside:avoid}}
"""
