export { createAccounts, type Accounts } from './accounts.ts'
export { loadOrCreateAdminKey, type AdminKey } from './admin-key.ts'
export { isApiKey, sameKey } from './keys.ts'
export { issueTicket, redeemTicket, type Ticket, type TicketHolder } from './ticket-store.ts'
