//! The structures of a Parquet file as the library reads them: the numbers and types of their fields.
//!
//! From `parquet.thrift` of the format, version 2.12. Fields that are not listed are skipped by the library too.

use super::thrift::{
    Fields,
    Shape::{self, Binary, Bool, Byte, Double, Int, List, Struct},
};

const EMPTY: Shape = Struct(&[]);

const TIME_UNIT: Shape = Struct(&[(1, EMPTY), (2, EMPTY), (3, EMPTY)]);

const LOGICAL_TYPE: Shape = Struct(&[
    (1, EMPTY),
    (2, EMPTY),
    (3, EMPTY),
    (4, EMPTY),
    (5, Struct(&[(1, Int), (2, Int)])),
    (6, EMPTY),
    (7, Struct(&[(1, Bool), (2, TIME_UNIT)])),
    (8, Struct(&[(1, Bool), (2, TIME_UNIT)])),
    (10, Struct(&[(1, Byte), (2, Bool)])),
    (11, EMPTY),
    (12, EMPTY),
    (13, EMPTY),
    (14, EMPTY),
    (15, EMPTY),
    (16, Struct(&[(1, Byte)])),
    (17, Struct(&[(1, Binary)])),
    (18, Struct(&[(1, Binary), (2, Int)])),
]);

/// The number of the field with the number of children of a schema element.
pub(super) const NUM_CHILDREN: i16 = 5;

/// An element of the schema: the root, a column, or a part of one.
pub(super) const SCHEMA_ELEMENT: Fields = &[
    (1, Int),
    (2, Int),
    (3, Int),
    (4, Binary),
    (NUM_CHILDREN, Int),
    (6, Int),
    (7, Int),
    (8, Int),
    (9, Int),
    (10, LOGICAL_TYPE),
];

const STATISTICS: Shape = Struct(&[
    (1, Binary),
    (2, Binary),
    (3, Int),
    (4, Int),
    (5, Binary),
    (6, Binary),
    (7, Bool),
    (8, Bool),
]);

const KEY_VALUES: Shape = List(&Struct(&[(1, Binary), (2, Binary)]));

const GEOSPATIAL_STATISTICS: Shape = Struct(&[
    (
        1,
        Struct(&[
            (1, Double),
            (2, Double),
            (3, Double),
            (4, Double),
            (5, Double),
            (6, Double),
            (7, Double),
            (8, Double),
        ]),
    ),
    (2, List(&Int)),
]);

const COLUMN_METADATA: Shape = Struct(&[
    (1, Int),
    (2, List(&Int)),
    (3, List(&Binary)),
    (4, Int),
    (5, Int),
    (6, Int),
    (7, Int),
    (8, KEY_VALUES),
    (9, Int),
    (10, Int),
    (11, Int),
    (12, STATISTICS),
    (13, List(&Struct(&[(1, Int), (2, Int), (3, Int)]))),
    (14, Int),
    (15, Int),
    (16, Struct(&[(1, Int), (2, List(&Int)), (3, List(&Int))])),
    (17, GEOSPATIAL_STATISTICS),
]);

const COLUMN_CHUNK: Shape = Struct(&[
    (1, Binary),
    (2, Int),
    (3, COLUMN_METADATA),
    (4, Int),
    (5, Int),
    (6, Int),
    (7, Int),
    (
        8,
        Struct(&[(1, EMPTY), (2, Struct(&[(1, List(&Binary)), (2, Binary)]))]),
    ),
    (9, Binary),
]);

const ROW_GROUP: Shape = Struct(&[
    (1, List(&COLUMN_CHUNK)),
    (2, Int),
    (3, Int),
    (4, List(&Struct(&[(1, Int), (2, Bool), (3, Bool)]))),
    (5, Int),
    (6, Int),
    (7, Int),
]);

/// The number of the field with the schema of a file.
pub(super) const SCHEMA: i16 = 2;

/// The footer, without the schema.
pub(super) const FILE_METADATA: Fields = &[
    (1, Int),
    (3, Int),
    (4, List(&ROW_GROUP)),
    (5, KEY_VALUES),
    (6, Binary),
    (7, List(&Struct(&[(1, EMPTY), (2, EMPTY)]))),
];

/// The header of a page, without what is special to the kind of page.
pub(super) const PAGE_HEADER: Fields = &[(1, Int), (2, Int), (3, Int), (4, Int), (6, EMPTY)];

/// The number of the field for data pages of the first version.
pub(super) const DATA_PAGE: i16 = 5;
/// The number of the field for dictionaries.
pub(super) const DICTIONARY_PAGE: i16 = 7;
/// The number of the field for data pages of the second version.
pub(super) const DATA_PAGE_V2: i16 = 8;

/// What is special to a data page of the first version.
pub(super) const DATA_PAGE_HEADER: Fields = &[(1, Int), (2, Int), (3, Int), (4, Int), (5, STATISTICS)];
/// What is special to a dictionary.
pub(super) const DICTIONARY_PAGE_HEADER: Fields = &[(1, Int), (2, Int), (3, Bool)];
/// What is special to a data page of the second version.
pub(super) const DATA_PAGE_HEADER_V2: Fields = &[
    (1, Int),
    (2, Int),
    (3, Int),
    (4, Int),
    (5, Int),
    (6, Int),
    (7, Bool),
    (8, STATISTICS),
];
