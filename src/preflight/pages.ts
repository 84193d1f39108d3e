/**
 * Preflight: share links give a page for people where a program wants the file. Here is which form gives the file.
 */

interface SharePage {
  name: string;
  isAt: (url: URL) => boolean;
  advice: string;
}

const SHARE_PAGES: SharePage[] = [
  {
    name: 'Google Drive',
    isAt: ({ hostname }) => /(^|\.)(drive|docs|drive\.usercontent|accounts)\.google\.com$/.test(hostname),
    advice:
      'share it with "anyone with the link" and use https://drive.google.com/uc?export=download&id=FILE_ID, where FILE_ID is the part after /d/ in the link (Drive shows a page instead for files over 100 MB)',
  },
  {
    name: 'Dropbox',
    isAt: ({ hostname }) => /(^|\.)dropbox\.com$/.test(hostname),
    advice: 'end the link in dl=1 instead of dl=0, and keep its rlkey',
  },
  {
    name: 'OneDrive',
    isAt: ({ hostname }) => /(^|\.)(1drv\.ms|onedrive\.live\.com|sharepoint\.com)$/.test(hostname),
    advice:
      'add download=1 to the query of a SharePoint or OneDrive for Business link; a personal OneDrive may give no direct link any more, then put the file somewhere else',
  },
  {
    name: 'GitHub',
    isAt: ({ hostname, pathname }) => hostname === 'github.com' && pathname.includes('/blob/'),
    advice: 'use the address of its "Raw" button',
  },
];

/** @param urls the one that was given and those it led to; the first that is known counts. */
export function sharePageOf(urls: readonly string[]): Pick<SharePage, 'name' | 'advice'> | undefined {
  for (const url of urls) {
    const page = SHARE_PAGES.find(({ isAt }) => isAt(new URL(url)));
    if (page !== undefined) return page;
  }
  return undefined;
}
