"""Other projects' vectors in our words: what they call a value, and where they say something else than we do."""

SHORT_ADDRESSES = {"F3:52:85"}
"""An address has six bytes; the page prints three of them, so the message is malformed."""
IBEACONS_BY_ANOTHER_NAME = {"Tilt Red"}
"""The peer reads temperature and gravity out of major and minor; on the air it is Apple's packet in full."""

FIELDS: dict[str, dict[str, str | tuple[str, float]]] = {
    "altbeacon": {"tx_power": "rssi_1m_dbm"},
    "ibeacon": {"tx_power": "power_1m_dbm"},
    "eddystone_uid": {"tx_power": "power_0m_dbm"},
    "eddystone_url": {"tx_power": "power_0m_dbm"},
    "eddystone_tlm": {
        "battery_mv": "battery_mv",
        "temperature": "temperature_c",
        "adv_count": "frames_sent",
        "uptime_ds": ("uptime_s", 10),
    },
    "eddystone_eid": {"tx_power": "power_0m_dbm", "eid": "ephemeral_id"},
    "eddystone_etlm": {"salt": "salt", "mic": "check"},
    "estimote_nearable": {"identifier": "nearable", "is_moving": "moved", "temperature": "temperature_c"},
    "estimote_telemetry_b": {
        "identifier": "beacon",
        "temperature": "temperature_c",
        "battery_level": "battery_pct",
        "has_clock_error": "clock_error",
        "has_firmware_error": "firmware_error",
    },
    "kontakt_location": {
        "tx_power": "tx_power_dbm",
        "ble_channel": "channel",
        "model": "model",
        "flags": "flags",
    },
    "ruuvi": {
        "temperature": "temperature_c",
        "humidity": "humidity_pct",
        "pressure_hpa": ("pressure_pa", 0.01),
        "acceleration_x_mg": "acceleration_x_mg",
        "acceleration_y_mg": "acceleration_y_mg",
        "acceleration_z_mg": "acceleration_z_mg",
        "battery_mv": "battery_mv",
        "tx_power": "tx_power_dbm",
        "movement_counter": "motion_count",
        "sequence": "measurement",
        "co2": "co2_ppm",
        "pm_2_5": "pm_2_5_ug_m3",
        "voc": "voc",
        "nox": "nox",
    },
    "minew": {
        "batteryPercentage": "battery_pct",
        "temperature": "temperature_c",
        "relativeHumidity": "humidity_pct",
        "name": "name",
        "illuminance": "level",
        "luminousFlux": "level",
        "volatileOrganicCompoundsConcentration": ("level", 0.001),
        "numberOfOccupants": "people",
        "distance": "distance_m",
    },
    "bthome": {
        "temperature": "temperature_c",
        "humidity": "humidity_pct",
        "pressure": "pressure_hpa",
        "illuminance": "light_lux",
        "light": "light_lux",
        "energy": "energy_kwh",
        "power": "power_w",
        "binary": "flag",
        "generic": "flag",
        "switch": "power_on",
        "opening": "opening",
        "co2": "co2_ppm",
        "carbon_dioxide": "co2_ppm",
        "moisture": "moisture_pct",
        "lock": "lock",
        "motion": "motion",
        "smoke detector": "smoke",
        "count": "count",
        "battery": "battery_pct",
        "batt": "battery_pct",
        "batteryPercentage": "battery_pct",
        "packet_id": "packet",
        "packet": "packet",
        "mass": "mass",
        "voltage": "voltage_v",
        "batteryVoltage": "voltage_v",
        "volatile_organic_compounds": "tvoc_ug_m3",
        "volatileOrganicCompoundsConcentration": "tvoc_ug_m3",
        "window": "window",
        "relativeHumidity": "humidity_pct",
        "angleOfRotation": "rotation_deg",
        "rotation": "rotation_deg",
        "distance": "distance",
        "duration": "duration_s",
        "amperage": "current_a",
        "current": "current_a",
        "speed": "speed_m_s",
        "uv_index": "uv_index",
        "volume": "volume",
        "volume_flow_rate": "flow_m3_h",
        "volume_storage": "volume_stored_l",
        "gas": "gas_m3",
        "water": "water_l",
        "gyroscope": "gyroscope_deg_s",
        "angularVelocity": "gyroscope_deg_s",
        "acceleration": "acceleration_m_s2",
        "text": "text",
        "raw": "raw",
        "conductivity": "conductivity_us_cm",
        "direction": "direction_deg",
        "precipitation": "precipitation_mm",
        "channel": "channel",
        "rotational_speed": "rotational_speed_rpm",
        "light_level": "light_level",
        "dew_point": "dewpoint_c",
        "dewpoint": "dewpoint_c",
        "timestamp": "time_s",
        "pm25": "pm_2_5_ug_m3",
        "pm2.5": "pm_2_5_ug_m3",
        "pm10": "pm_10_ug_m3",
    },
}
"""Peers' names of values, by the type of vector: our name, and what ours is to be multiplied with."""

PROFILE_OF = {
    "altbeacon": "altbeacon",
    "ibeacon": "ibeacon",
    "eddystone_uid": "eddystone-uid",
    "eddystone_url": "eddystone-url",
    "eddystone_tlm": "eddystone-tlm",
    "eddystone_etlm": "eddystone-tlm",
    "eddystone_eid": "eddystone-eid",
    "estimote_nearable": "estimote-nearable",
    "estimote_telemetry_b": "estimote-telemetry",
    "kontakt_location": "kontakt",
    "kontakt_telemetry": "kontakt",
    "ruuvi_df3": "ruuvi-rawv1",
    "ruuvi_df5": "ruuvi-rawv2",
    "ruuvi_df6": "ruuvi-df6",
    "ruuvi_dfe1": "ruuvi-e1",
    "bthome_v1": "bthome-v1",
    "bthome_v2": "bthome-v2",
    "exposure_notification": "exposure-notification",
    "find_hub": "google-find-hub",
}
"""Which profile has to claim a type of vector."""

CUT_OFF = "the payload is cut off: too short as a whole, the peer keeps what came before"
UNIT = "the same, in another unit than that of the vendor's document"
DISAGREEMENTS: dict[str, str] = {
    "test_bthome_invalid_object_payload_data_length :: temperature": CUT_OFF,
    "should handle valid pressure data as input :: pressure": UNIT,  # Pa
    "should handle valid distance (0x40) data as input :: distance": UNIT,  # m
    "should handle valid duration data as input :: duration": UNIT,  # ms
    "should handle valid acceleration (0x51) data as input :: acceleration": UNIT,  # g
    "should handle valid xyz acceleration (0x51) data as input :: acceleration": UNIT,  # g
    # The vector is a pressure, and its peer's test expects that a key in hand forbids it; the rest is another vector's.
    "test_downgrade_detected_flag_v1 :: temperature": "what is expected is not in the payload",
    "test_downgrade_detected_flag_v1 :: humidity": "what is expected is not in the payload",
    # One of its two UUIDs is that of another format.
    "test_bthome_multiple_uuids :: type": "not BTHome",
    # bthome.io: 13 3301 is 307 µg/m³; the peer turns it into 68.
    "should handle valid tvoc data as input :: volatileOrganicCompoundsConcentration": "the peer is wrong",
    # Google's document: at most 17 bytes of URL. The peer's test encodes 21, which no beacon could send.
    "testCompressEntireURLInCapsWithPath :: tx_power": "longer than a frame may be",
}
"""`source :: value` to why we say something else, or nothing."""

WITHOUT_PROFILE = {
    "aprilbrother_raw": "the format of the gateways before V4",
    "aruba_telemetry": "protobuf over a WebSocket, no MQTT",
}
TOPICS = {
    "aprilbrother_v4_element": "april-brother/ABCDEF123456",
    "kontakt_stream": "/presence/stream/abcdef",
    "minew_binary_long": "/gw/ac233fc02f87/status",
    "raddec_binary": "raddec/barnowl",
    "raddec_json": "raddec/barnowl",
}
"""Where a document names no topic: ours."""
