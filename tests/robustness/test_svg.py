import xml.etree.ElementTree as ET

import numpy as np

from skaae.robustness._svg import chart


def test_chart_is_xml_with_a_curve_for_each_attacker():
    sizes = np.array([0.0, 0.1, 0.2])
    curves = {"unaware": (sizes, np.array([1.0, 0.5, np.nan])), "unaware, no defense": (sizes, np.zeros(3))}
    root = ET.fromstring(chart(curves, "size <std>"))
    lines = [element for element in root.iter() if element.tag.endswith("polyline")]
    assert [len(line.get("points").split()) for line in lines] == [2, 3], "a missing accuracy is no point"
    assert [line.get("stroke-dasharray") for line in lines] == [None, "6 4"]
    assert "unaware: 1.00 at 0" in next(iter(root)).text
